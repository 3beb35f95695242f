/**
 * From which offset on it is known what a group's members did with each record: they committed past it without a jump.
 *
 * Who asks what became of a record must not be told that it was handled because an operator moved the group on, because
 * the log had deleted it before anybody came to it, or because offsets had expired and the group began elsewhere.
 */
import type { CommittedOffset } from './offsets.ts'

export interface NextCommit {
  offset: number
  /** By a member, in its generation; else by a tool, or by a reader that is in no group. */
  isMembers: boolean
  /** Where the log begins now. */
  logStart: number
}

export function knownFromAfter(
  before: Pick<CommittedOffset, 'offset' | 'knownFrom'> | undefined,
  { offset, isMembers, logStart }: NextCommit,
): number {
  if (!before || (!isMembers && offset > before.offset)) return offset
  const hasMissedSome = offset > before.offset && logStart > before.offset
  // After a step back records are handled once more, and known from there.
  return Math.min(hasMissedSome ? Math.max(before.knownFrom, logStart) : before.knownFrom, offset)
}
