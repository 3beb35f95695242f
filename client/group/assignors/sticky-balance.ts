/**
 * An assignment that is as even as the subscriptions allow and moves as little as that needs.
 *
 * Everybody keeps what it had, what nobody has goes to whoever has least, and then partitions move along chains: from a
 * member with most to one that has at least two less, through others that pass one on for the one they get. When no such
 * chain is left, no assignment is more even.
 */
import { keyOf, type TopicPartition } from '../topic-partition.ts'

export interface Reader {
  id: string
  topics: ReadonlySet<string>
  /** What it keeps if that is fair. No two readers own the same partition, and each reads what it owns. */
  owned: readonly TopicPartition[]
}

interface Holder {
  id: string
  topics: ReadonlySet<string>
  held: Map<string, TopicPartition>
}

export function balance(
  readers: readonly Reader[],
  partitions: readonly TopicPartition[],
): Map<string, TopicPartition[]> {
  const holders: Holder[] = readers.map(({ id, topics, owned }) => ({
    id,
    topics,
    held: new Map(owned.map((at) => [keyOf(at), at])),
  }))
  handOut(holders, unheld(holders, partitions))
  // Each chain makes the loads more even by one, so this ends.
  let isMoving = true
  while (isMoving) {
    isMoving = false
    for (const holder of byLoad(holders)) while (relieve(holder, holders)) isMoving = true
  }
  return new Map(holders.map(({ id, held }) => [id, [...held.values()]]))
}

const load = ({ held }: Holder) => held.size
const byLoad = (holders: readonly Holder[]) => [...holders].sort((a, b) => load(b) - load(a))

function unheld(holders: readonly Holder[], partitions: readonly TopicPartition[]): TopicPartition[] {
  const held = new Set(holders.flatMap((holder) => [...holder.held.keys()]))
  const choices = new Map<string, number>()
  for (const { topics } of holders) for (const topic of topics) choices.set(topic, (choices.get(topic) ?? 0) + 1)
  // Those with the fewest possible readers first: others have more places to go.
  return partitions
    .filter((at) => !held.has(keyOf(at)) && choices.has(at.topic))
    .sort((a, b) => choices.get(a.topic)! - choices.get(b.topic)!)
}

function handOut(holders: readonly Holder[], partitions: readonly TopicPartition[]): void {
  for (const at of partitions) {
    let least: Holder | undefined
    for (const holder of holders) {
      if (holder.topics.has(at.topic) && (!least || load(holder) < load(least))) least = holder
    }
    least!.held.set(keyOf(at), at)
  }
}

/** Takes one partition from `from` along the shortest chain to a member with at least two less. False: there is none. */
function relieve(from: Holder, holders: readonly Holder[]): boolean {
  const cameFrom = new Map<Holder, { giver: Holder; topic: string }>()
  const queue: Holder[] = [from]
  const unseen = new Set(holders)
  unseen.delete(from)
  let target: Holder | undefined
  for (let giver = queue.shift(); giver && !target && unseen.size > 0; giver = queue.shift()) {
    const given = new Set([...giver.held.values()].map(({ topic }) => topic))
    for (const topic of given) {
      for (const taker of unseen) {
        if (!taker.topics.has(topic)) continue
        unseen.delete(taker)
        cameFrom.set(taker, { giver, topic })
        queue.push(taker)
        if (load(taker) <= load(from) - 2 && (!target || load(taker) < load(target))) target = taker
      }
    }
  }
  if (!target) return false
  for (let taker = target; taker !== from; taker = cameFrom.get(taker)!.giver) {
    const { giver, topic } = cameFrom.get(taker)!
    const [key, at] = [...giver.held].find(([, held]) => held.topic === topic)!
    giver.held.delete(key)
    taker.held.set(key, at)
  }
  return true
}
