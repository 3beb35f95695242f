/** Where each partition of an assignment begins: at what the group has committed, else where the application says. */
import { listOffset } from '../consumer/list-offset.ts'
import { END, type Isolation, START } from '../consumer/source.ts'
import { OttlaError } from '../errors.ts'
import type { Session } from '../session.ts'
import { type Committed, fetchCommitted, type IdentifiedPartition } from './committed-offsets.ts'
import type { MemberClaim } from './membership.ts'
import type { GroupStart } from './options.ts'
import { keyOf, type TopicPartition } from './topic-partition.ts'

export interface StartOffset extends Pick<Committed, 'offset' | 'leaderEpoch'> {
  isCommitted: boolean
}

export interface StartQuery {
  groupId: string
  claim: MemberClaim | undefined
  partitions: readonly IdentifiedPartition[]
  from: GroupStart
  /** Partitions that were not there when this member began: nothing of them is old. */
  isLater(at: IdentifiedPartition): boolean
  isolation: Isolation
}

/** Rejects OttlaError, and GroupRefusal when the group does not know this member, or in another epoch. */
export async function startOffsets(session: Session, query: StartQuery): Promise<Map<string, StartOffset>> {
  const { groupId, claim, partitions, from, isLater, isolation } = query
  const committed = await fetchCommitted(session, groupId, claim, partitions)
  const starts = await Promise.all(
    partitions.map(async (at): Promise<[string, StartOffset]> => {
      const found = committed.get(keyOf(at))
      if (found) return [keyOf(at), { ...found, isCommitted: true }]
      const first = from === 'end' && isLater(at) ? 'beginning' : from
      const offset = await firstOffset(session, groupId, at, first, isolation)
      return [keyOf(at), { offset, leaderEpoch: -1, isCommitted: false }]
    }),
  )
  return new Map(starts)
}

async function firstOffset(
  session: Session,
  groupId: string,
  { topic, partition }: TopicPartition,
  from: GroupStart,
  isolation: Isolation,
): Promise<number> {
  const ask = (timestampMs: number) => listOffset(session, { topic, partition, timestampMs, isolation }, {})
  if (from === 'beginning') return ask(START)
  if (from === 'end') return ask(END)
  if (from === 'fail') {
    throw new OttlaError('OFFSET_OUT_OF_RANGE', {
      message: `group ${groupId} has committed nothing for ${topic}-${partition}`,
      hint: "commit offsets for the group first, or say where to begin by 'from'",
    })
  }
  const offset = await ask(from.timestamp)
  return offset < 0 ? ask(END) : offset
}
