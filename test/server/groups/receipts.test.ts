/** What is known of records in a group, and what is told of it: never more than is true, never before it is on disk. */
import { describe, expect, test } from 'vitest'
import { Reader } from '../../../protocol/bytes/reader.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { offsetCommit } from '../../../protocol/messages/group-offsets.ts'
import { readPushStart } from '../../../protocol/messages/offset-protocol.ts'
import { deleteRecords } from '../../../protocol/messages/offsets.ts'
import {
  FailedHow,
  type Progress,
  progress,
  reportFailed,
  unwatchProgress,
  watchProgress,
} from '../../../protocol/messages/receipts.ts'
import { deleteTopics } from '../../../protocol/messages/topics.ts'
import { FAILED_PER_PARTITION_MAX, type FailedRange } from '../../../server/coordinator/failed-records.ts'
import { decodeRecord } from '../../../server/coordinator/group-records.ts'
import type { GroupCoordinator } from '../../../server/coordinator/runtime.ts'
import { ProgressWatches } from '../../../server/progress-watches.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import { startRelay } from '../../support/relay.ts'
import { RelayClient } from '../../support/relay-client.ts'
import { codeOf, groupOfOne, logFrom, MINUTE_MS, NOBODY, offsetOf, openCoordinator } from './coordinator-fixture.ts'
import { memberOf } from './group-client.ts'

const at = { topicId: 'T', partition: 0 }
const dead = (from: number, reason = 'broken'): FailedRange => ({
  ...{ from, to: from + 1, how: 'dead-lettered', reason },
  place: { topic: 't.g.dlq', partition: 0, offset: from },
})

const known = async (coordinator: GroupCoordinator) => {
  const { committed, knownFrom, failed } = await coordinator.receipts.progress({ groupId: 'g', ...at })
  return { committed, knownFrom, failed: failed.map(({ from, to }) => [from, to]) }
}

describe('[RCP-1] what is known begins where members began, and again behind every jump', () => {
  test('members go on, step back, and go on', async () => {
    const coordinator = await openCoordinator()
    const claim = await groupOfOne(coordinator)
    expect(await known(coordinator)).toEqual({ committed: -1, knownFrom: -1, failed: [] })
    await coordinator.commit('g', claim, [offsetOf(0, 5)])
    await coordinator.commit('g', claim, [offsetOf(0, 9)])
    expect(await known(coordinator)).toEqual({ committed: 9, knownFrom: 5, failed: [] })
    await coordinator.commit('g', claim, [offsetOf(0, 3)])
    expect(await known(coordinator)).toEqual({ committed: 3, knownFrom: 3, failed: [] })
    await coordinator.commit('g', claim, [offsetOf(0, 20)])
    expect(await known(coordinator)).toEqual({ committed: 20, knownFrom: 3, failed: [] })
  })

  test('a tool that moves the group on has handled nothing; one that moves it back changes nothing', async () => {
    const coordinator = await openCoordinator()
    const claim = await groupOfOne(coordinator)
    await coordinator.commit('g', claim, [offsetOf(0, 0)])
    await coordinator.commit('g', claim, [offsetOf(0, 10)])
    coordinator.leave('g', [claim])
    await coordinator.commit('g', NOBODY, [offsetOf(0, 4)])
    expect(await known(coordinator)).toMatchObject({ committed: 4, knownFrom: 0 })
    await coordinator.commit('g', NOBODY, [offsetOf(0, 30)])
    expect(await known(coordinator)).toMatchObject({ committed: 30, knownFrom: 30 })
  })

  test('what the log deleted before anybody came to it was not handled', async () => {
    let logStart = 0
    const coordinator = await openCoordinator({ logOf: () => logFrom(logStart) })
    const claim = await groupOfOne(coordinator)
    await coordinator.commit('g', claim, [offsetOf(0, 0)])
    await coordinator.commit('g', claim, [offsetOf(0, 10)])
    logStart = 7
    await coordinator.commit('g', claim, [offsetOf(0, 12)])
    expect(await known(coordinator)).toMatchObject({ committed: 12, knownFrom: 0 })
    logStart = 20
    await coordinator.commit('g', claim, [offsetOf(0, 25)])
    expect(await known(coordinator)).toMatchObject({ committed: 25, knownFrom: 20 })
  })

  test('offsets that have expired take what was known with them', async () => {
    const clock = new HandClock()
    const config = { offsetsRetentionMinutes: 1, offsetsRetentionCheckIntervalMs: MINUTE_MS }
    const coordinator = await openCoordinator({ clock, config })
    const claim = await groupOfOne(coordinator)
    await coordinator.commit('g', claim, [offsetOf(0, 0), offsetOf(0, 10)])
    await coordinator.reportFailed('g', claim, [{ ...at, failed: [dead(11)] }])
    coordinator.leave('g', [claim])
    await clock.advanceAsync(3 * MINUTE_MS)
    expect(await known(coordinator)).toEqual({ committed: -1, knownFrom: -1, failed: [] })
    const again = await groupOfOne(coordinator)
    await coordinator.commit('g', again, [offsetOf(0, 40)])
    expect(await known(coordinator)).toEqual({ committed: 40, knownFrom: 40, failed: [] })
  })

  test('offsets of a transaction count from the claim with which they were handed in', async () => {
    const coordinator = await openCoordinator()
    const claim = await groupOfOne(coordinator)
    const producer = { producerId: 7, producerEpoch: 0 }
    await coordinator.commit('g', claim, [offsetOf(0, 2)])
    await coordinator.commitInTransaction('g', claim, producer, [offsetOf(0, 6)])
    expect(await known(coordinator)).toMatchObject({ committed: 2, knownFrom: 2 })
    await coordinator.decideTransaction(['g'], 7, 'commit')
    expect(await known(coordinator)).toMatchObject({ committed: 6, knownFrom: 2 })
  })
})

describe('[RCP-2] what members did not finish is kept beside the commit, bounded, through power cuts', () => {
  test('reports are by right of a commit', async () => {
    const coordinator = await openCoordinator()
    const claim = await groupOfOne(coordinator)
    await coordinator.commit('g', claim, [offsetOf(0, 0)])
    const report = (by: typeof claim) => codeOf(() => coordinator.reportFailed('g', by, [{ ...at, failed: [dead(3)] }]))
    expect(await report({ ...claim, generationId: 9 })).toBe(ErrorCode.ILLEGAL_GENERATION)
    expect(await report({ ...claim, memberId: 'stranger' })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(await report(NOBODY)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(await report(claim)).toBe(0)
    expect(await known(coordinator)).toEqual({ committed: 0, knownFrom: 0, failed: [[3, 4]] })
  })

  test('they survive, in a log that is rewritten too', async () => {
    const files = new MemoryFiles({ tracksPower: true })
    const log = { deadBytesMin: 4 * 1024, segmentBytes: 4 * 1024 }
    const coordinator = await openCoordinator({ files, ...log })
    const claim = await groupOfOne(coordinator)
    await coordinator.commit('g', claim, [offsetOf(0, 0)])
    await coordinator.reportFailed('g', claim, [
      { ...at, failed: [dead(3), { ...dead(5), to: 8, how: 'skipped', place: null }] },
    ])
    for (let offset = 9; offset < 300; offset++) await coordinator.commit('g', claim, [offsetOf(0, offset)])
    const again = await openCoordinator({
      files: files.powerCut('dropped', { next: () => 0, bytes: (count) => new Uint8Array(count) }),
      ...log,
    })
    expect(await known(again)).toEqual({
      committed: 299,
      knownFrom: 0,
      failed: [
        [3, 4],
        [5, 8],
      ],
    })
    const { failed } = await again.receipts.progress({ groupId: 'g', ...at })
    expect(failed[0]).toEqual(dead(3))
  })

  test('the oldest go when there are too many, and what is known begins behind them', async () => {
    const coordinator = await openCoordinator()
    const claim = await groupOfOne(coordinator)
    await coordinator.commit('g', claim, [offsetOf(0, 0)])
    for (let offset = 0; offset < FAILED_PER_PARTITION_MAX + 10; offset++)
      await coordinator.reportFailed('g', claim, [{ ...at, failed: [dead(offset)] }])
    const { committed, knownFrom, failed } = await known(coordinator)
    expect([committed, knownFrom, failed.length, failed[0]]).toEqual([0, 10, FAILED_PER_PARTITION_MAX, [10, 11]])
    // The same once more is no news.
    await coordinator.reportFailed('g', claim, [{ ...at, failed: [dead(20, 'again')] }])
    expect((await known(coordinator)).failed).toHaveLength(FAILED_PER_PARTITION_MAX)
  })

  test('commits of earlier versions tell nothing of what lay before them', () => {
    const value = { offset: 5, leaderEpoch: 0, metadata: '', committedAtMs: 1, expiresAtMs: null }
    const stored = { key: JSON.stringify(['offset', 'g', 'T', 0]), value: JSON.stringify(value) }
    expect(decodeRecord(stored)).toMatchObject({ kind: 'offset', value: { offset: 5, knownFrom: 5 } })
  })
})

describe('[RCP-3] watchers are told what is on disk, and where things stand', () => {
  async function watched() {
    const relay = await startRelay({ config: { kafkaPort: 0, groupInitialRebalanceDelayMs: 0 } })
    const [member, sender] = [await RelayClient.open(relay.websocket.url), await RelayClient.open(relay.websocket.url)]
    const topicId = await sender.createTopic('t')
    await sender.produce(topicId, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
    const { memberId, generationId } = await memberOf(member)
    const claim = { groupId: 'g', memberId, groupInstanceId: null, generationIdOrMemberEpoch: generationId }
    const commit = (committedOffset: number) =>
      member.call(offsetCommit, {
        ...claim,
        topics: [{ topicId, partitions: [{ partitionIndex: 0, committedOffset, committedMetadata: null }] }],
      })
    const watch = async (fromOffset = 0, groupId = 'g') => {
      const { watches } = await sender.call(watchProgress, {
        watches: [{ groupId, topicId, partition: 0, fromOffset }],
      })
      return watches[0]!
    }
    const report = async (from: number, reason = 'broken', to = from + 1) => {
      const failed = [
        { from, to, how: FailedHow.deadLettered, reason, deadTopic: 'dlq', deadPartition: 0, deadOffset: 1 },
      ]
      return (await member.call(reportFailed, { ...claim, partitions: [{ topicId, partition: 0, failed }] })).errorCode
    }
    return { relay, member, sender, topicId, commit, watch, report }
  }
  const last = (pushes: Progress[]) => pushes.at(-1)

  test('the answer has the state, pushes what comes after', async () => {
    const { sender, topicId, commit, watch, report } = await watched()
    expect(await watch()).toMatchObject({ errorCode: 0, committed: -1, knownFrom: -1, failed: [] })
    await commit(0)
    await commit(2)
    await eventually(() => last(sender.progress)?.committed === 2)
    expect(last(sender.progress)).toMatchObject({ groupId: 'g', topicId, partition: 0, errorCode: 0, knownFrom: 0 })
    expect(await report(2, 'bad')).toBe(0)
    await eventually(() => last(sender.progress)?.failed.length === 1)
    expect(last(sender.progress)!.failed[0]).toEqual({
      from: 2,
      to: 3,
      how: 0,
      reason: 'bad',
      deadTopic: 'dlq',
      deadPartition: 0,
      deadOffset: 1,
    })
    await commit(4)
    await eventually(() => last(sender.progress)?.committed === 4)
    expect(await watch(3)).toMatchObject({ committed: 4, failed: [] })
    expect(await watch(2)).toMatchObject({ committed: 4, failed: [{ from: 2 }] })
  })

  test('a commit past a record is not told before what became of the record, to whom both are news', async () => {
    const files = new FaultyFiles(new MemoryFiles())
    const topicId = 'AAAAAAAAAAAAAAAAAAAAAQ'
    const coordinator = await openCoordinator({ files, topics: new Map([['t', topicId]]) })
    const watches = new ProgressWatches(coordinator.receipts)
    const told: Progress[] = []
    const nobody = { name: 'ANONYMOUS', clientId: null, host: '' }
    const peer = {
      ...{ isClosed: false, unsentBytes: 0, subscriptions: undefined, principal: () => nobody, sendFrame: () => {} },
      close: () => {},
      sendMessage(bytes: Uint8Array, headroom: number) {
        const reader = new Reader(bytes.subarray(headroom))
        reader.int32()
        told.push(progress.body.read(reader, readPushStart(reader).version))
      },
    }
    const claim = await groupOfOne(coordinator)
    await coordinator.commit('g', claim, [offsetOf(0, 0, topicId)])
    const watch = watches.add(peer, { groupId: 'g', topicId, partition: 0 }, 0)
    await coordinator.reportFailed('g', claim, [{ topicId, partition: 0, failed: [dead(0)] }])
    let letGo = () => {}
    files.fail({ call: 'sync', until: new Promise<void>((resolve) => (letGo = resolve)) })
    const commit = coordinator.commit('g', claim, [offsetOf(0, 1, topicId)])
    // Its answer is out, and said less.
    watches.activate(watch)
    letGo()
    await commit
    await eventually(() => told.some(({ committed }) => committed === 1))
    const failed = told.slice(0, told.findIndex(({ committed }) => committed === 1) + 1).flatMap((each) => each.failed)
    expect(failed).toMatchObject([{ from: 0, to: 1 }])
    await coordinator.commit('g', claim, [offsetOf(0, 2, topicId)])
    await eventually(() => told.at(-1)?.committed === 2)
    watches.close()
  })

  test('nothing comes after unwatching, after a deleted topic one word, and of a stranger group nothing', async () => {
    const { sender, topicId, commit, watch } = await watched()
    await watch()
    await watch(0, 'other')
    await commit(1)
    await eventually(() => sender.progress.length === 1)
    await sender.call(unwatchProgress, { watches: [{ groupId: 'g', topicId, partition: 0 }] })
    await commit(2)
    await watch()
    expect(sender.progress).toHaveLength(1)
    await sender.call(deleteTopics, { topics: [{ name: null, topicId }], timeoutMs: 5_000 })
    await eventually(
      () => sender.progress.filter(({ errorCode }) => errorCode === ErrorCode.UNKNOWN_TOPIC_ID).length === 2,
    )
    expect(await watch()).toMatchObject({ errorCode: ErrorCode.UNKNOWN_TOPIC_ID })
  })

  test('reports that make no sense are refused', async () => {
    const { report, member, topicId } = await watched()
    expect(await report(3, 'bad', 3)).toBe(ErrorCode.INVALID_REQUEST)
    expect(await report(3, 'bad', 900)).toBe(ErrorCode.INVALID_REQUEST)
    expect(await report(3, 'x'.repeat(300))).toBe(ErrorCode.INVALID_REQUEST)
    const stranger = { groupId: 'g', memberId: 'm', groupInstanceId: null, generationIdOrMemberEpoch: 1 }
    const failed = [{ from: 0, to: 1, how: 1, reason: '', deadTopic: '', deadPartition: -1, deadOffset: -1 }]
    const { errorCode } = await member.call(reportFailed, {
      ...stranger,
      partitions: [{ topicId, partition: 0, failed }],
    })
    expect(errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  test('records deleted under the group are told as unknown', async () => {
    const { sender, commit, watch } = await watched()
    await watch()
    await commit(0)
    await commit(1)
    await sender.call(deleteRecords, {
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 5 }] }],
      timeoutMs: 5_000,
    })
    await commit(6)
    await eventually(() => last(sender.progress)?.committed === 6)
    expect(last(sender.progress)).toMatchObject({ committed: 6, knownFrom: 5 })
  })

  test('what is not on disk yet is told to nobody', async () => {
    const files = new FaultyFiles(new MemoryFiles())
    const coordinator = await openCoordinator({ files })
    const claim = await groupOfOne(coordinator)
    await coordinator.commit('g', claim, [offsetOf(0, 1)])
    const told: number[] = []
    coordinator.receipts.onProgress.on(({ committed }) => told.push(committed))
    let release = () => {}
    files.fail({ call: 'sync', until: new Promise<void>((resolve) => (release = resolve)) })
    const commit = coordinator.commit('g', claim, [offsetOf(0, 2)])
    const asked = known(coordinator)
    let isAnswered = false
    void asked.then(() => (isAnswered = true))
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect([told, isAnswered]).toEqual([[], false])
    release()
    await commit
    expect([told, (await asked).committed]).toEqual([[2], 2])
  })
})
