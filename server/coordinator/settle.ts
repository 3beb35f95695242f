/** What requests of members of all kinds of groups end with. */
import { KafkaError } from '../../protocol/errors.ts'
import type { GroupRecord } from './group-records.ts'
import type { GroupStore } from './group-store.ts'
import type { GroupMachine, HeldGroup } from './held-group.ts'

export interface Settling {
  store: GroupStore
  /** The group has changed: what it takes, and when it must be looked at. */
  onChanged: (group: HeldGroup) => void
}

/** The group is from now on what its machine has made of it. Resolves when that is on disk. */
export async function settle(
  { store, onChanged }: Settling,
  machine: GroupMachine,
  records: readonly GroupRecord[],
): Promise<void> {
  const group = store.put(machine)
  const written = store.changeAhead(records)
  onChanged(group)
  await written
}

export function unknownMember(groupId: string, memberId: string): KafkaError {
  return new KafkaError('UNKNOWN_MEMBER_ID', `group ${groupId} has no member ${memberId}`)
}
