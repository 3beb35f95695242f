/** Sending members out of their group. */
import { type AdminDriver, type AdminOptions, type AdminRun, verdict } from './driver.ts'
import { membersOf } from './groups.ts'
import { type PerEntry, perEntry } from './outcomes.ts'

/** A static member by its instance, any other by its id. */
export type MemberToRemove = { instanceId: string } | { memberId: string }

export interface RemoveMembersOptions extends AdminOptions {
  /** Default: all of them. */
  members?: readonly MemberToRemove[]
  /** For the broker's log. */
  reason?: string
}

/** The others share what these had. A member that still lives joins again, unless it is static and stopped. */
export function removeMembersFromConsumerGroup(
  driver: AdminDriver,
  group: string,
  options: RemoveMembersOptions = {},
): PerEntry<MemberToRemove, MemberToRemove> {
  const { members, reason = 'removed by an administrator' } = options
  const run = driver.run(options)
  if (members) return remove(run, group, members, reason)
  const everybody = membersOf(run, group).then((all) =>
    all.map(({ memberId, instanceId }): MemberToRemove => (instanceId === null ? { memberId } : { instanceId })),
  )
  return perEntry(everybody.then((all) => remove(run, group, all, reason).settled()))
}

function remove(
  run: AdminRun,
  group: string,
  members: readonly MemberToRemove[],
  reason: string,
): PerEntry<MemberToRemove, MemberToRemove> {
  return run.each<MemberToRemove, MemberToRemove>({
    entries: members,
    where: () => ({ group }),
    doing: (member) => `removing ${keyOf(member)} from group ${group}`,
    isChange: true,
    async ask(entries, ask) {
      const leaving = entries.map((member) => ({
        memberId: 'memberId' in member ? member.memberId : '',
        groupInstanceId: 'instanceId' in member ? member.instanceId : null,
        reason,
      }))
      const answer = await ask('LeaveGroup', { groupId: group, memberId: '', members: leaving })
      if (answer.errorCode !== 0) return entries.map(() => ({ errorCode: answer.errorCode }))
      const byKey = new Map(
        answer.members.map((each) => {
          const { groupInstanceId, memberId } = each
          return [keyOf(groupInstanceId === null ? { memberId } : { instanceId: groupInstanceId }), each]
        }),
      )
      return entries.map((member) => verdict(byKey.get(keyOf(member)), () => member))
    },
  })
}

const keyOf = (member: MemberToRemove): string =>
  'instanceId' in member ? `static member ${member.instanceId}` : `member ${member.memberId}`
