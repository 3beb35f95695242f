/** What survives of a share group: power cuts, kills, a log that is rewritten, disks that fail, tails that are lost. */
import { afterEach, describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../../protocol/errors.ts'
import { HandClock } from '../../../../protocol/lib/clock.ts'
import { AcknowledgeType } from '../../../../protocol/messages/share-fetch.ts'
import type { GroupCoordinator } from '../../../../server/coordinator/runtime.ts'
import { MemoryFiles } from '../../../../server/storage/memory-files.ts'
import { FaultyFiles } from '../../../support/faulty-files.ts'
import { endAll, startRelay, temporaryFolder } from '../../../support/ottla-process.ts'
import { RelayClient } from '../../../support/relay-client.ts'
import { type CoordinatorFixture, codeOf, logFrom, NOBODY, offsetOf, openCoordinator } from '../coordinator-fixture.ts'
import { configureGroup, ShareMember } from './share-member.ts'

afterEach(endAll)

const AT = { topicId: 'T', partition: 0 }
const END = 1000
const clean = { next: () => 0, bytes: (count: number) => new Uint8Array(count) }

async function openShare(fixture: CoordinatorFixture = {}): Promise<GroupCoordinator> {
  const coordinator = await openCoordinator({ logOf: () => logFrom(0, END), ...fixture })
  await coordinator.configs.alter('g', () => new Map([['share.auto.offset.reset', 'earliest']]))
  return coordinator
}

const joinAs = (coordinator: GroupCoordinator, memberId: string) =>
  coordinator.shareHeartbeat('g', {
    ...{ memberId, memberEpoch: 0, rackId: null, subscribedNames: ['t'], clientId: 'c', clientHost: '/h' },
  })

function take(coordinator: GroupCoordinator, memberId: string, recordsMax = 10): number[] {
  const from = coordinator.deliveries
    .heldShare('g', AT)!
    .partition.nextOffset({ recordLocksMax: 5000, deliveriesMax: 5 })!
  const wish = { memberId, recordsMax, isStrict: true, batchSize: 1000 }
  const acquired = coordinator.deliveries.acquire('g', AT, [{ first: from, last: END - 1, hasRecords: true }], wish)
  return acquired.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, index) => first + index))
}

function say(coordinator: GroupCoordinator, memberId: string, first: number, last: number, type: number) {
  const batches = [{ firstOffset: first, lastOffset: last, acknowledgeTypes: [type] }]
  return coordinator.deliveries.acknowledge('g', AT, memberId, { batches, isRenewing: false })
}

const { accept, release } = AcknowledgeType

describe('[SHR-8] what is acknowledged is on disk before that is told; what is not comes again', () => {
  test('a power cut: members, where it stands, and how often records were tried', async () => {
    const files = new MemoryFiles({ tracksPower: true })
    const coordinator = await openShare({ files })
    expect((await joinAs(coordinator, 'a')).assignment).toEqual(new Map([['T', [0]]]))
    take(coordinator, 'a', 10)
    await say(coordinator, 'a', 0, 2, accept)
    await say(coordinator, 'a', 5, 5, accept)
    await say(coordinator, 'a', 7, 8, release)
    const again = await openShare({ files: files.powerCut('dropped', clean) })
    const group = again.group('g')!
    expect(group.machine).toMatchObject({ type: 'share', phase: 'Stable', epoch: 1 })
    expect(take(again, 'b', 3)).toEqual([3, 4, 6])
    const wish = { memberId: 'b', recordsMax: 4, isStrict: true, batchSize: 10 }
    expect(again.deliveries.acquire('g', AT, [{ first: 7, last: 20, hasRecords: true }], wish)).toEqual([
      { first: 7, last: 8, deliveryCount: 2 },
      { first: 9, last: 10, deliveryCount: 1 },
    ])
  })

  test('power cut before any disk call, while the log is rewritten', async () => {
    const memory = new MemoryFiles({ tracksPower: true })
    const files = new FaultyFiles(memory)
    const coordinator = await openShare({ files, deadBytesMin: 1024, segmentBytes: 1024 })
    await joinAs(coordinator, 'a')
    const told = new Set<number>()
    const cuts: Array<{ at: string; disk: MemoryFiles; told: number[] }> = []
    files.onCall = (call, path, number) => {
      if (number % 17 !== 0 && call !== 'remove') return
      const disk = memory.powerCut(number % 2 === 0 ? 'dropped' : 'kept', clean)
      cuts.push({ at: `call ${number} ${call} ${path}`, disk, told: [...told] })
    }
    for (let step = 0; step < 60; step++) {
      const taken = take(coordinator, 'a', 4)
      const done = taken[step % 3]!
      await say(coordinator, 'a', done, done, accept)
      told.add(done)
    }
    files.onCall = undefined
    expect(cuts.length).toBeGreaterThan(10)
    for (const cut of cuts) {
      const again = await openShare({ files: cut.disk })
      const taken = new Set<number>()
      for (let offsets = take(again, 'z'); offsets.length > 0 && offsets[0]! < 300; offsets = take(again, 'z'))
        for (const offset of offsets) taken.add(offset)
      for (const offset of cut.told) expect(taken.has(offset), `${cut.at}: ${offset} came again`).toBe(false)
      // Nothing else is missing but what may just have been on its way.
      const missing = Array.from({ length: 300 }, (_, offset) => offset).filter((offset) => !taken.has(offset))
      expect(missing.length, cut.at).toBeLessThanOrEqual(cut.told.length + 1)
    }
  })

  test('an answer waits for the disk; a failed write is a retriable error, and nothing was acknowledged', async () => {
    const files = new FaultyFiles(new MemoryFiles())
    const clock = new HandClock()
    const coordinator = await openShare({ files, clock })
    await joinAs(coordinator, 'a')
    take(coordinator, 'a', 2)
    let letGo = () => {}
    files.fail({ call: 'sync', until: new Promise<void>((resolve) => (letGo = resolve)) })
    let isTold = false
    const told = say(coordinator, 'a', 0, 0, accept).then(() => (isTold = true))
    await clock.advanceAsync(10)
    expect(isTold).toBe(false)
    letGo()
    await told
    const full = files.fail({ call: 'writev', path: /\.log$/, code: 'ENOSPC', times: 1000 })
    expect(await codeOf(() => say(coordinator, 'a', 1, 1, accept))).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    full.heal()
    await expect
      .poll(async () => {
        await clock.advanceAsync(1000)
        return codeOf(() => coordinator.group('g'))
      })
      .toBe(0)
    expect(await codeOf(() => say(coordinator, 'a', 1, 1, accept))).toBe(ErrorCode.INVALID_REQUEST)
    expect(take(coordinator, 'a', 2)).toEqual([1, 2])
  })

  test('where a group begins is on disk before anything is handed out, also when that could not be written at first', async () => {
    const files = new FaultyFiles(new MemoryFiles())
    const clock = new HandClock()
    const log = { current: undefined as ReturnType<typeof logFrom> | undefined }
    const coordinator = await openShare({ files, clock, logOf: () => log.current })
    await joinAs(coordinator, 'a')
    const full = files.fail({ call: 'writev', path: /\.log$/, code: 'ENOSPC', times: 1000 })
    const noRoom = files.fail({ call: 'freeBytes', code: 'EIO', times: 1000 })
    expect(await codeOf(() => coordinator.commit('other', NOBODY, [offsetOf(0, 1)]))).not.toBe(0)
    const ready = () =>
      expect
        .poll(async () => {
          await clock.advanceAsync(1000)
          return codeOf(() => coordinator.group('g'))
        })
        .toBe(0)
    await ready()
    log.current = logFrom(0, END)
    expect(await codeOf(() => coordinator.deliveries.begin('g', [AT]))).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    full.heal()
    noRoom.heal()
    await expect
      .poll(async () => {
        await clock.advanceAsync(1000)
        return codeOf(async () => {
          await coordinator.commit('other', NOBODY, [offsetOf(0, 1)])
          await coordinator.deliveries.begin('g', [AT])
        })
      })
      .toBe(0)
    expect(take(coordinator, 'a', 2)).toEqual([0, 1])
    await say(coordinator, 'a', 0, 1, accept)
    await coordinator.close()
    const again = await openShare({ files })
    expect(again.deliveries.heldShare('g', AT)?.partition.start).toBe(2)
  })

  test('what was acknowledged of a tail that is lost does not count for what is written in its place', async () => {
    const files = new MemoryFiles()
    const coordinator = await openShare({ files })
    await joinAs(coordinator, 'a')
    take(coordinator, 'a', 30)
    await say(coordinator, 'a', 10, 29, accept)
    await coordinator.close()
    const again = await openShare({ files, logOf: () => logFrom(0, 20) })
    const partition = again.deliveries.heldShare('g', AT)!.partition
    expect([partition.start, partition.end, partition.settledCount]).toEqual([0, 20, 10])
    await again.close()
    const empty = await openShare({ files, logOf: () => logFrom(0, 0) })
    expect(empty.deliveries.heldShare('g', AT)!.partition.start).toBe(0)
  })

  test('SIGKILL in the midst of acknowledgements', async () => {
    const data = temporaryFolder()
    const relay = await startRelay(['--data', data])
    const client = await RelayClient.open(relay.url)
    const topicId = await client.createTopic('t')
    const count = 600
    for (let from = 0; from < count; from += 20)
      await client.produce(
        topicId,
        Array.from({ length: 20 }, (_, index) => `${from + index}`),
      )
    await configureGroup(client, 'g', { 'share.auto.offset.reset': 'earliest' })
    const member = new ShareMember(client, 'a')
    await member.join('t')
    const records = await member.fetch(topicId, { maxRecords: count })
    expect(records.length).toBe(count)
    const told = new Set<number>()
    const acknowledging = records.slice(0, 400).map(({ offset }) => {
      const said = member.acknowledge(topicId, [[offset, offset, accept]])
      // Requests follow each other without waiting.
      member.sessionEpoch++
      return said.then((errorCode) => errorCode === 0 && told.add(offset)).catch(() => {})
    })
    await acknowledging[20]
    relay.process.kill('SIGKILL')
    await Promise.allSettled(acknowledging)
    await relay.exited
    expect(told.size).toBeGreaterThan(20)

    const again = await startRelay(['--data', data])
    const back = new ShareMember(await RelayClient.open(again.url), 'a')
    await back.join('t')
    const seen: number[] = []
    for (let next = await back.fetch(topicId); next.length > 0; next = await back.fetch(topicId))
      for (const { offset, value } of next) {
        expect(value).toBe(String(offset))
        seen.push(offset)
      }
    expect(seen.filter((offset) => told.has(offset))).toEqual([])
    expect(new Set(seen).size).toBe(seen.length)
    // What was not told may have been written all the same; what nobody acknowledged is there.
    expect(seen.filter((offset) => offset >= 400).length).toBe(200)
  }, 60_000)
})
