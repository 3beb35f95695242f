/**
 * One step of a member towards its target.
 *
 *   1. It is told to let go of what it shall no longer read, and stays in its epoch until it says that it did.
 *   2. It gets the new epoch, and what of its target nobody else holds.
 *   3. As others let go of the rest, it gets that too.
 */
import type { Instant } from '../group-state.ts'
import { type Changes, type ConsumerState, wakeBy } from './consumer-state.ts'
import type { ConsumerMember, Standing } from './member.ts'
import { common, countOf, NO_PARTITIONS, onlyThose, type Partitions, together, without } from './partitions.ts'

/** `owned` is what the member says it reads now; null when it does not say. */
export function reconcile(
  group: ConsumerState,
  member: ConsumerMember,
  owned: Partitions | null,
  at: Instant,
  changes: Changes,
): void {
  const { standing, target } = member
  if (member.isReconciled || !hasLetGo(owned, standing.revoking)) return
  const lost = without(standing.assigned, target)
  const kept = common(standing.assigned, target)
  if (!hasLetGo(owned, lost)) {
    if (!member.profile.classic) {
      member.revocationDeadline = at.monotonicMs + member.profile.rebalanceTimeoutMs
      wakeBy(group, member.revocationDeadline)
    }
    return stand(group, member, { ...standing, assigned: kept, revoking: lost }, changes)
  }
  const wanted = without(target, kept)
  const free = onlyThose(wanted, (topicId, partition) => group.owners.isFreeFor(member.memberId, topicId, partition))
  member.isReconciled = countOf(free) === countOf(wanted)
  member.revocationDeadline = undefined
  const { assignmentEpoch: epoch } = group
  const isNewEpoch = epoch !== standing.epoch
  if (!isNewEpoch && free.size === 0 && lost.size === 0 && standing.revoking.size === 0) return
  const previousEpoch = isNewEpoch ? standing.epoch : standing.previousEpoch
  stand(group, member, { epoch, previousEpoch, assigned: together(kept, free), revoking: NO_PARTITIONS }, changes)
}

function hasLetGo(owned: Partitions | null, partitions: Partitions): boolean {
  return partitions.size === 0 || (owned !== null && common(owned, partitions).size === 0)
}

export function stand(group: ConsumerState, member: ConsumerMember, next: Standing, changes: Changes): void {
  const { memberId, standing } = member
  const held = together(next.assigned, next.revoking)
  group.owners.release(memberId, without(together(standing.assigned, standing.revoking), held))
  group.owners.take(memberId, held, next.epoch)
  member.standing = next
  changes.standings.add(memberId)
}
