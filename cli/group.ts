/** `ottla group …`: who reads what, how far, and putting an end to it. Moving a group is in group-reset.ts. */

import type { Admin, GroupDescription, GroupLag, GroupMember, MemberToRemove, Outcome } from '../client/node.ts'
import { EXIT_FAILURE, EXIT_OK, type Invocation, listFlag, switchFlag, UsageError } from './command.ts'
import { table } from './output.ts'
import { withRelay } from './relay-connection.ts'
import { partitionsNamed } from './topic-selection.ts'

export async function listGroups(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const states = listFlag(invocation, 'state')
  const all = await withRelay(invocation, ({ admin }) => admin.listGroups({ states }))
  const isShown = switchFlag(invocation, 'all') ? () => true : isOfReaders
  const groups = all.filter(isShown).sort((a, b) => (a.groupId < b.groupId ? -1 : 1))
  if (json) await output.json(groups)
  else if (groups.length === 0) output.note('No groups.')
  else {
    const rows = groups.map(({ groupId, state, type, protocolType }) => [groupId, state, type, protocolType])
    await output.write(table(['GROUP', 'STATE', 'TYPE', 'PROTOCOL'], rows))
  }
  return EXIT_OK
}

/** Consumers, sharers and Kafka Streams; not Kafka Connect's and the like. A group that only has commits is one of consumers. */
const isOfReaders = ({ type, protocolType }: { type: string; protocolType: string }) =>
  type === 'share' || type === 'streams' || protocolType === 'consumer' || protocolType === ''

/** Its offsets are of another kind than those of consumers. */
export async function isShareGroup(admin: Admin, group: string): Promise<boolean> {
  return (await admin.listShareGroups()).some(({ groupId }) => groupId === group)
}

export async function describeGroups(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const groups = await described(invocation, invocation.positionals)
  if (json) await output.json(groups)
  else for (const [index, group] of groups.entries()) await output.write(`${index > 0 ? '\n' : ''}${describe(group)}`)
  return EXIT_OK
}

export async function showMembers(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const [group] = await described(invocation, invocation.positionals)
  if (json) await output.json(group!.members)
  else if (group!.members.length === 0) output.note(`${group!.groupId} has no members.`)
  else await output.write(memberTable(group!))
  return EXIT_OK
}

export async function showOffsets(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const [group] = await described(invocation, invocation.positionals)
  const lag = group!.lag ?? []
  if (json) await output.json(lag)
  else if (lag.length === 0) output.note(`${group!.groupId} has committed nothing.`)
  else await output.write(lagTable(lag, group!.members))
  return EXIT_OK
}

export async function deleteGroups(invocation: Invocation): Promise<number> {
  const { positionals: names } = invocation
  const outcomes = await withRelay(invocation, ({ admin }) => admin.deleteConsumerGroups(names).settled())
  return reportEach(
    invocation,
    outcomes,
    (group) => ({ group }),
    (group) => `Deleted ${group}.`,
  )
}

export async function deleteOffsets(invocation: Invocation): Promise<number> {
  const [group] = invocation.positionals as [string]
  const named = listFlag(invocation, 'topic')
  if (named.length === 0) throw new UsageError('--topic is missing')
  const outcomes = await withRelay(invocation, async ({ admin }) => {
    if (await isShareGroup(admin, group)) return forgetTopics(admin, group, named)
    const partitions = await partitionsNamed(admin, named)
    return admin.deleteConsumerGroupOffsets(group, partitions).settled()
  })
  const said = ({ topic, partition }: ForgottenPlace) =>
    `Forgot ${partition === undefined ? topic : `${topic}-${partition}`}.`
  return reportEach(invocation, outcomes, (at) => ({ group, ...at }), said)
}

interface ForgottenPlace {
  topic: string
  partition?: number
}

/** A share group forgets whole topics. */
async function forgetTopics(
  admin: Admin,
  group: string,
  topics: readonly string[],
): Promise<Array<Outcome<ForgottenPlace, unknown>>> {
  const single = topics.find((topic) => topic.includes(':'))
  if (single !== undefined) throw new UsageError(`--topic ${single}: a share group forgets whole topics`)
  const outcomes = await admin.deleteShareGroupOffsets(group, topics).settled()
  return outcomes.map((outcome) => ({ ...outcome, entry: { topic: outcome.entry } }))
}

export async function removeMembers(invocation: Invocation): Promise<number> {
  const [group] = invocation.positionals as [string]
  const members: MemberToRemove[] = [
    ...listFlag(invocation, 'member').map((memberId) => ({ memberId })),
    ...listFlag(invocation, 'instance').map((instanceId) => ({ instanceId })),
  ]
  const isAll = switchFlag(invocation, 'all')
  if (isAll === members.length > 0) throw new UsageError('say --member or --instance, or --all')
  const chosen = isAll ? {} : { members }
  const outcomes = await withRelay(invocation, ({ admin }) =>
    admin.removeMembersFromConsumerGroup(group, chosen).settled(),
  )
  const nameOf = (member: MemberToRemove) => ('memberId' in member ? member.memberId : member.instanceId)
  return reportEach(
    invocation,
    outcomes,
    (member) => ({ group, ...member }),
    (member) => `Removed ${nameOf(member)}.`,
  )
}

function described(invocation: Invocation, names: readonly string[]): Promise<GroupDescription[]> {
  return withRelay(invocation, async ({ admin }) => {
    const sharers = new Set((await admin.listShareGroups()).map(({ groupId }) => groupId))
    const others = names.filter((name) => !sharers.has(name))
    const found = await Promise.all([
      admin.describeConsumerGroups(others, { lag: true }),
      admin.describeShareGroups(
        [...new Set(names)].filter((name) => sharers.has(name)),
        { lag: true },
      ),
    ])
    const byName = new Map(found.flat().map((group) => [group.groupId, group]))
    return names.flatMap((name) => byName.get(name) ?? [])
  })
}

function describe(group: GroupDescription): string {
  const { groupId, state, type, assignor, members, lag = [] } = group
  const head = `Group ${groupId}: ${state}, ${type}${assignor ? `, assigned by ${assignor}` : ''}\n`
  const who = members.length > 0 ? `\n${memberTable(group)}` : '\nNo members.\n'
  return `${head}${who}${lag.length > 0 ? `\n${lagTable(lag, members)}` : ''}`
}

function memberTable({ type, members, lag = [] }: GroupDescription): string {
  const rows = members.map(({ memberId, instanceId, clientId, host, assignment }) => {
    const behind = lag.filter((each) => each.memberId === memberId).reduce((sum, each) => sum + (each.lag ?? 0), 0)
    const reads = assignment.map(({ topic, partition }) => `${topic}-${partition}`).join(' ')
    // Partitions that several members read are behind for none of them.
    return [memberId, instanceId ?? '-', clientId, host, type === 'share' ? '-' : behind, reads || '-']
  })
  return table(['MEMBER', 'INSTANCE', 'CLIENT', 'HOST', 'LAG', 'READS'], rows)
}

function lagTable(lag: readonly GroupLag[], members: readonly GroupMember[]): string {
  const clients = new Map(members.map(({ memberId, clientId }) => [memberId, clientId]))
  const rows = lag.map(({ topic, partition, committed, end, lag: left, memberId }) => [
    ...[topic, partition, committed ?? '-', end ?? '-', left ?? '-'],
    ...[(memberId && clients.get(memberId)) || '-'],
  ])
  return table(['TOPIC', 'PARTITION', 'COMMITTED', 'END', 'LAG', 'CLIENT'], rows)
}

/** One line or one JSON entry each; exit code 1 when one of them failed. */
export async function reportEach<E, V>(
  { output, json }: Invocation,
  outcomes: ReadonlyArray<Outcome<E, V>>,
  fields: (entry: E) => object,
  said: (entry: E) => string,
): Promise<number> {
  const told = outcomes.map(({ entry, error }) => {
    return { ...fields(entry), done: !error, ...(error ? { error: { code: error.code, message: error.message } } : {}) }
  })
  if (json) await output.json(told)
  else {
    for (const { entry, error } of outcomes) {
      if (error) output.note(`ottla: ${error.message}`)
      else await output.line(said(entry))
    }
  }
  return outcomes.some(({ error }) => error) ? EXIT_FAILURE : EXIT_OK
}
