/**
 * The power goes at every single call to the disk in the life of transactions. Whatever the disk then holds: what was
 * answered holds, nothing is half there, and the producer goes on as if nothing had been, with the same identity and the
 * same sequence.
 */
import { expect, test } from 'vitest'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { fetch } from '../../../protocol/messages/fetch.ts'
import { offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { MemoryFiles, POWER_CUT_MODELS } from '../../../server/storage/memory-files.ts'
import { committedOf } from '../../support/committed-records.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import {
  advance,
  commits,
  committedWith,
  newProducer,
  type ProducerState,
  stepOf,
  TRANSACTION_TIMEOUT_MS,
  type Version,
} from './scripted-producer.ts'
import { openStage, type Stage, settle } from './stage.ts'

/** What a reader of committed records and stable offsets sees. */
async function seen(stage: Stage, topicId: string) {
  const partitions = [0, 1].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 2 ** 20 }))
  const { responses } = await stage.call(fetch, {
    ...{ maxWaitMs: 0, minBytes: 0, isolationLevel: 1, topics: [{ topicId, partitions }] },
  })
  const values = responses[0]!.partitions.map((each) => committedOf(each).placed.map(({ value }) => value))
  const { groups } = await stage.call(offsetFetch, {
    groups: [{ groupId: 'g', topics: [{ topicId, partitionIndexes: [0] }] }],
    requireStable: true,
  })
  const { errorCode, committedOffset } = groups[0]!.topics[0]!.partitions[0]!
  return { values, offset: errorCode === 0 ? committedOffset : `error ${errorCode}` }
}

const expectedOf = ({ committed, offset }: Pick<ProducerState, 'committed' | 'offset'>) => ({
  values: committed.map((each) => [...each]),
  offset,
})

const hasStable = async (stage: Stage, topicId: string) => typeof (await seen(stage, topicId)).offset === 'number'

/** Syncs of these files take some turns of the event loop: the other logs get ahead. `onLate` is called just before. */
function makeSlow(files: FaultyFiles, path: RegExp, onLate: () => void): void {
  const later: PromiseLike<void> = {
    // biome-ignore lint/suspicious/noThenProperty: awaited anew by each call
    then: (resolved, failed) => settle(8).then(onLate).then(resolved, failed),
  }
  files.fail({ call: 'sync', path, times: Number.POSITIVE_INFINITY, until: later })
}

const SLOW = { coordinator: /transactions/, partitions: /topics/, offsets: /groups/ }

test.each<[Version, keyof typeof SLOW]>([
  [1, 'coordinator'],
  [2, 'coordinator'],
  [1, 'partitions'],
  [2, 'partitions'],
  [2, 'offsets'],
])(
  '[TXN-30] version %i, slow %s: power cut at any disk call: all or nothing, and the producer goes on where it was',
  async (version, slow) => {
    const random = seededRandom(version)
    const memory = new MemoryFiles({ tracksPower: true })
    const files = new FaultyFiles(memory)
    const stage = await openStage({ files })
    const { id } = await stage.createTopic('t')
    const topic = { name: 't', id }
    const cuts: Array<{ what: string; disk: MemoryFiles; state: ProducerState }> = []
    let state = newProducer(version)
    const cut = (where: string) => {
      const model = POWER_CUT_MODELS[cuts.length % POWER_CUT_MODELS.length]!
      const what = `${stepOf(state)} of transaction ${state.transaction}, ${where}, ${model}`
      cuts.push({ what, disk: memory.powerCut(model, random), state })
    }
    // Every third one, beginning elsewhere in each variant: together they are all of them.
    files.onCall = (call, path, number) =>
      (number + version + slow.length) % 3 === 0 && cut(`call ${number} ${call} ${path}`)
    makeSlow(files, SLOW[slow], () => files.onCall && cut(`late ${slow}`))
    const count = slow === 'coordinator' ? 3 : 2
    while (state.transaction < count) state = await advance(stage, state, topic)
    files.onCall = undefined
    expect(await seen(stage, id)).toEqual(expectedOf(state))
    await stage.core.close()
    expect(cuts.length).toBeGreaterThan(20)

    let adopted = 0
    for (const { what, disk, state: atCut } of cuts) {
      const again = await openStage({ files: disk })
      await settle()
      const { transactions } = again.services
      const held = transactions.producer(`tx${version}`)
      if (held?.phase === 'Ongoing') adopted++
      // Between a decision and its answer nobody knows which it is; but it is one of the two, as a whole.
      const before = await seen(again, id)
      const possible = [expectedOf(atCut)]
      if (stepOf(atCut) === 'end' && commits(atCut)) possible.push(expectedOf(committedWith(atCut)))
      if (typeof before.offset === 'number') expect(possible, what).toContainEqual(before)
      else expect(expectedOf(atCut).values, what).toEqual(before.values)
      let resumed = atCut
      try {
        const until = atCut.transaction + 2
        while (resumed.transaction < until) resumed = await advance(again, resumed, topic)
      } catch (error) {
        throw new Error(`${what}: ${(error as Error).message}`)
      }
      expect(await seen(again, id), what).toEqual(expectedOf(resumed))
      await again.core.close()
    }
    expect(adopted).toBeGreaterThan(0)
  },
  120_000,
)

test.each<Version>([1, 2])(
  '[TXN-31] version %i: a producer that died with the relay is aborted within its timeout, and holds nobody up',
  async (version) => {
    const random = seededRandom(version + 10)
    const memory = new MemoryFiles({ tracksPower: true })
    const files = new FaultyFiles(memory)
    const stage = await openStage({ files })
    const { id } = await stage.createTopic('t')
    const topic = { name: 't', id }
    const cuts: Array<{ what: string; disk: MemoryFiles; state: ProducerState }> = []
    let state = newProducer(version)
    let isWatching = true
    makeSlow(files, SLOW.coordinator, () => {
      if (!isWatching) return
      const what = `${stepOf(state)} of transaction ${state.transaction}, cut ${cuts.length}`
      cuts.push({ what, disk: memory.powerCut('dropped', random), state })
    })
    while (state.transaction < 3) state = await advance(stage, state, topic)
    isWatching = false
    await stage.core.close()
    for (const { what, disk, state: atCut } of cuts) {
      const again = await openStage({ files: disk })
      await settle()
      await again.clock.advanceAsync(TRANSACTION_TIMEOUT_MS + 1000)
      await settle()
      const log = again.services.engine.topicById(id)!
      for (const partition of log.partitions) expect(partition.lastStableOffset, what).toBe(partition.highWatermark)
      expect(await hasStable(again, id), what).toBe(true)
      const possible = [expectedOf(atCut)]
      if (stepOf(atCut) === 'end' && commits(atCut)) possible.push(expectedOf(committedWith(atCut)))
      expect(possible, what).toContainEqual(await seen(again, id))
      await again.core.close()
    }
  },
  60_000,
)
