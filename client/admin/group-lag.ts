/**
 * How far a group is behind, in each partition: what was committed, where the log ends, and which member has it.
 *
 * The committed offsets are asked for first, the ends after them, so that lag is never told too small; a group that
 * commits in between may show a little that it has read already.
 */
import type { OttlaError } from '../errors.ts'
import type { AdminRun } from './driver.ts'
import { type CommittedOffset, committedOffsets } from './group-offsets.ts'
import type { GroupDescription } from './groups.ts'
import { listEnds } from './log-ends.ts'
import { keyOf, type TopicPartition } from './topic-partitions.ts'

export interface GroupLag extends TopicPartition {
  /** null: nothing was committed. */
  committed: number | null
  /** Where the log ends; null when that cannot be told, as of a topic that is gone. */
  end: number | null
  /** Offsets that are left; null when one of both is not known. */
  lag: number | null
  /** null: nobody reads it now. */
  memberId: string | null
}

/** By group; an error where a group's commits cannot be had. */
export async function lagOf(
  run: AdminRun,
  groups: readonly GroupDescription[],
): Promise<Map<string, GroupLag[] | OttlaError>> {
  const asked = groups.map(({ groupId }) => ({ group: groupId }))
  const committed = await committedOffsets(run, asked, false).settled()
  const places = groups.map((group, index) => placesOf(group, committed[index]?.value?.offsets ?? []))
  const ends = await listEnds(run, 'latest', [...new Map(places.flatMap((all) => [...all])).values()])
  return new Map(
    groups.map(({ groupId }, index) => {
      const { error } = committed[index]!
      return [groupId, error ?? [...places[index]!.values()].map((place) => behind(place, ends.get(keyOf(place))))]
    }),
  )
}

type Place = Omit<GroupLag, 'end' | 'lag'>

/** Every partition that has a commit or a member, by topic and number. */
function placesOf({ members }: GroupDescription, offsets: readonly CommittedOffset[]): Map<string, Place> {
  const places = new Map<string, Place>()
  for (const { topic, partition, offset } of offsets) {
    places.set(keyOf({ topic, partition }), { topic, partition, committed: offset, memberId: null })
  }
  for (const { memberId, assignment } of members) {
    for (const at of assignment) {
      const committed = places.get(keyOf(at))?.committed ?? null
      places.set(keyOf(at), { ...at, committed, memberId })
    }
  }
  const inOrder = ([, a]: [string, Place], [, b]: [string, Place]) =>
    a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1
  return new Map([...places].sort(inOrder))
}

function behind(place: Place, end: number | undefined): GroupLag {
  const isKnown = end !== undefined && place.committed !== null
  return { ...place, end: end ?? null, lag: isKnown ? Math.max(0, end - place.committed!) : null }
}
