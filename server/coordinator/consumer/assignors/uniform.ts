/**
 * Uniform: everybody gets as many partitions as the others, as far as subscriptions allow, and keeps what it has.
 *
 *   1. Keep what members had and still read.
 *   2. Give what nobody has to the reader with least to do.
 *   3. Move single partitions from those with most to those with at least two fewer, until there is no such pair.
 *
 * The third step is what costs; it ends with its budget, and leaves a valid if less even assignment.
 */
import type { Assignor, Candidate, Subscribers } from './assignor.ts'
import { Heap } from './heap.ts'
import { LeastLoaded, LoadClass, type Loaded } from './least-loaded.ts'

const BALANCE_STEPS_MAX = 1_000_000

interface Worker extends Loaded {
  readonly memberId: string
  /** By topic: partitions in the order in which it got them. */
  readonly partitions: Map<string, number[]>
  readonly peers: LoadClass<Worker>
}

export const uniform: Assignor = (subscribers, partitionCounts) => {
  const { workers, readers } = keep(subscribers, partitionCounts)
  giveOut(workers, readers, partitionCounts)
  balance(workers, readers)
  for (const { partitions } of workers) for (const list of partitions.values()) list.sort((a, b) => a - b)
  return new Map(workers.map(({ memberId, partitions }) => [memberId, partitions]))
}

type Readers = ReadonlyMap<string, ReadonlyArray<LoadClass<Worker>>>

function keep(subscribers: readonly Subscribers[], partitionCounts: ReadonlyMap<string, number>) {
  const order = orderOf(subscribers)
  const workers: Worker[] = []
  const readers = new Map<string, LoadClass<Worker>[]>()
  for (const { topicIds, members } of subscribers) {
    const peers = new LoadClass<Worker>([])
    for (const { memberId, target } of members) {
      const partitions = new Map<string, number[]>()
      let load = 0
      for (const [topicId, list] of target) {
        const count = topicIds.has(topicId) ? (partitionCounts.get(topicId) ?? 0) : 0
        const kept = list.filter((partition) => partition < count)
        if (kept.length > 0) partitions.set(topicId, kept)
        load += kept.length
      }
      const worker: Worker = { memberId, partitions, peers, load, order: order.get(memberId)! }
      peers.changed(worker)
      workers.push(worker)
    }
    for (const topicId of topicIds) {
      const classes = readers.get(topicId)
      if (classes) classes.push(peers)
      else readers.set(topicId, [peers])
    }
  }
  return { workers, readers }
}

/** By id, so that who gets what does not depend on who came first. */
function orderOf(subscribers: readonly Subscribers[]): ReadonlyMap<string, number> {
  const ids = subscribers.flatMap(({ members }) => members.map(({ memberId }: Candidate) => memberId))
  return new Map(ids.sort().map((memberId, index) => [memberId, index]))
}

/** Topics with few readers first: others have more choice. */
function giveOut(workers: readonly Worker[], readers: Readers, partitionCounts: ReadonlyMap<string, number>): void {
  const taken = new Map([...partitionCounts].map(([topicId, count]) => [topicId, new Uint8Array(count)]))
  for (const { partitions } of workers) {
    for (const [topicId, list] of partitions) {
      const flags = taken.get(topicId)!
      for (const partition of list) flags[partition] = 1
    }
  }
  const topics = [...readers].sort(
    ([a, classesA], [b, classesB]) => classesA.length - classesB.length || (a < b ? -1 : 1),
  )
  for (const [topicId, classes] of topics) {
    const idlest = new LeastLoaded(classes)
    for (const [partition, isTaken] of taken.get(topicId)!.entries()) {
      if (!isTaken) take(idlest.least(), topicId, partition)
    }
  }
}

function balance(workers: readonly Worker[], readers: Readers): void {
  const everybody = new LoadClass(workers)
  const givers = new Heap<Worker>()
  const offer = (worker: Worker) => givers.push({ item: worker, load: -worker.load, order: worker.order })
  let stepsLeft = BALANCE_STEPS_MAX
  // Who had nothing to give may have something after others have given.
  for (let hasMoved = true; hasMoved && stepsLeft > 0; ) {
    hasMoved = false
    for (const worker of workers) offer(worker)
    for (let entry = givers.pop(); entry && stepsLeft > 0; entry = givers.pop()) {
      const giver = entry.item
      const { load: least } = everybody.least()
      if (giver.load !== -entry.load || giver.load - least <= 1) continue
      const { topicId, taker, steps } = bestMove(giver, readers, least)
      stepsLeft -= steps
      if (giver.load - taker.load <= 1) continue
      take(taker, topicId, give(giver, topicId))
      for (const each of [giver, taker]) {
        everybody.changed(each)
        offer(each)
      }
      hasMoved = true
    }
  }
}

/** From which of its topics the giver can give to whoever has least to do; nobody has less than `least`. */
function bestMove(giver: Worker, readers: Readers, least: number): { topicId: string; taker: Worker; steps: number } {
  let topicId = ''
  let taker = giver
  let steps = 0
  for (const id of giver.partitions.keys()) {
    for (const peers of readers.get(id)!) {
      steps++
      const candidate = peers.least()
      if (candidate.load < taker.load) {
        topicId = id
        taker = candidate
      }
      if (taker.load === least) return { topicId, taker, steps }
    }
  }
  return { topicId, taker, steps }
}

function take(worker: Worker, topicId: string, partition: number): void {
  const list = worker.partitions.get(topicId)
  if (list) list.push(partition)
  else worker.partitions.set(topicId, [partition])
  worker.load++
  worker.peers.changed(worker)
}

/** What came last goes first: it is least likely to have been read for long. */
function give(worker: Worker, topicId: string): number {
  const list = worker.partitions.get(topicId)!
  const partition = list.pop()!
  if (list.length === 0) worker.partitions.delete(topicId)
  worker.load--
  worker.peers.changed(worker)
  return partition
}
