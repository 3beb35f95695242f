/** Groups: which there are, who is in them, removing them. Lag is in group-lag.ts, offsets in group-offsets.ts. */
import { MalformedError } from '../../protocol/bytes/reader.ts'
import { decodeAssignment, decodeSubscription } from '../../protocol/messages/consumer-protocol.ts'
import { OttlaError } from '../errors.ts'
import type { AdminDriver, AdminOptions, AdminRun, Answer, Ask, Verdict } from './driver.ts'
import { verdict } from './driver.ts'
import { type GroupLag, lagOf } from './group-lag.ts'
import type { PerEntry } from './outcomes.ts'
import { perEntry } from './outcomes.ts'
import type { TopicPartition } from './topic-partitions.ts'

/** How its members agree on who reads what: among themselves, by the coordinator (KIP-848), or another kind of group. */
export type GroupType = 'classic' | 'consumer' | 'share' | 'streams' | 'unknown'

export interface GroupListing {
  groupId: string
  type: GroupType
  /** As Kafka calls it: Stable, Empty, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, Dead. */
  state: string
  /** `consumer` for groups of consumers; others for Kafka Connect and the like; '' for none. */
  protocolType: string
}

export interface ListGroupsOptions extends AdminOptions {
  states?: readonly string[]
  types?: readonly GroupType[]
}

export interface GroupMember {
  memberId: string
  /** Of static members. */
  instanceId: string | null
  clientId: string
  host: string
  /** What it reads. Empty where the group's protocol cannot be read here. */
  assignment: TopicPartition[]
  /** What it is to read once the others have let go; of `consumer` groups. */
  target?: TopicPartition[]
  /** Of `consumer` groups. */
  memberEpoch?: number
  /** Topics it subscribed to, by name. */
  subscribed: readonly string[]
}

export interface GroupDescription extends GroupListing {
  /** The chosen assignor; '' while there is none. */
  assignor: string
  members: GroupMember[]
  /** Of `consumer` groups. */
  groupEpoch?: number
  /** Where the group is in each partition, committed or assigned; only with the option `lag`. */
  lag?: GroupLag[]
}

export interface DescribeGroupsOptions extends AdminOptions {
  /** Also ask for committed offsets and the ends of logs. */
  lag?: boolean
}

const UNSUPPORTED_VERSION = 35
const GROUP_ID_NOT_FOUND = 69
const CONSUMER = 'consumer'

/** All groups that this client may see, of every kind. */
export function listGroups(driver: AdminDriver, options: ListGroupsOptions = {}): PerEntry<string, GroupListing> {
  const { states = [], types = [] } = options
  const listed = driver.run(options).everyBroker('listing groups', async (ask) => {
    const answer = await ask('ListGroups', { statesFilter: states, typesFilter: types })
    return verdict(answer, ({ groups }) => groups.map(listing))
  })
  return perEntry(listed.then((lists) => lists.flat().map((value) => ({ entry: value.groupId, value }))))
}

/** Those of consumers; a group that nobody joined yet but that has commits is one. */
export function listConsumerGroups(
  driver: AdminDriver,
  options: ListGroupsOptions = {},
): PerEntry<string, GroupListing> {
  const isOfConsumers = ({ protocolType }: GroupListing) => protocolType === CONSUMER || protocolType === ''
  const listed = listGroups(driver, options).then((all) => all.filter(isOfConsumers))
  return perEntry(listed.then((all) => all.map((value) => ({ entry: value.groupId, value }))))
}

function listing({
  groupId,
  groupType,
  groupState,
  protocolType,
}: Answer<'ListGroups'>['groups'][number]): GroupListing {
  return { groupId, type: typeNamed(groupType || 'classic'), state: groupState, protocolType }
}

function typeNamed(name: string): GroupType {
  const known = name.toLowerCase()
  return known === 'classic' || known === 'consumer' || known === 'share' || known === 'streams' ? known : 'unknown'
}

/** Rejects UNKNOWN_GROUP, NOT_AUTHORIZED, RELAY. */
export function describeConsumerGroups(
  driver: AdminDriver,
  groupIds: readonly string[],
  options: DescribeGroupsOptions = {},
): PerEntry<string, GroupDescription> {
  const run = driver.run(options)
  const described = describedBy(run, groupIds)
  return options.lag ? withLag(run, described) : described
}

function describedBy(run: AdminRun, groupIds: readonly string[]): PerEntry<string, GroupDescription> {
  return run.each<string, GroupDescription>({
    entries: groupIds,
    where: (group) => ({ group }),
    doing: (group) => `describing group ${group}`,
    ask: describeEither,
  })
}

/** Groups of the classic protocol, of consumers, Kafka Connect or others. Rejects UNKNOWN_GROUP, NOT_AUTHORIZED, RELAY. */
export function describeClassicGroups(
  driver: AdminDriver,
  groupIds: readonly string[],
  options: AdminOptions = {},
): PerEntry<string, GroupDescription> {
  return driver.run(options).each<string, GroupDescription>({
    entries: groupIds,
    where: (group) => ({ group }),
    doing: (group) => `describing classic group ${group}`,
    ask: describeClassic,
  })
}

/** As part of another call. A group that is not there has none. */
export async function membersOf(run: AdminRun, groupId: string): Promise<GroupMember[]> {
  const [described] = await describedBy(run, [groupId]).settled()
  if (described?.error && described.error.kafkaCode !== GROUP_ID_NOT_FOUND) throw described.error
  return described?.value?.members ?? []
}

/** A group is of one protocol or the other, and only its coordinator knows which. */
async function describeEither(groupIds: string[], ask: Ask): Promise<Array<Verdict<GroupDescription>>> {
  const newer = await describeNewer(groupIds, ask)
  const isElsewhere = (found: Verdict<GroupDescription>) =>
    'errorCode' in found && (found.errorCode === GROUP_ID_NOT_FOUND || found.errorCode === UNSUPPORTED_VERSION)
  const others = groupIds.filter((_, index) => isElsewhere(newer[index]!))
  if (others.length === 0) return newer
  const classic = new Map((await describeClassic(others, ask)).map((found, index) => [others[index]!, found]))
  return groupIds.map((groupId, index) => (isElsewhere(newer[index]!) ? classic.get(groupId)! : newer[index]!))
}

async function describeClassic(groupIds: string[], ask: Ask): Promise<Array<Verdict<GroupDescription>>> {
  const answer = await ask('DescribeGroups', { groups: groupIds, includeAuthorizedOperations: false })
  const byId = new Map(answer.groups.map((group) => [group.groupId, group]))
  return groupIds.map((groupId) => {
    const group = byId.get(groupId)
    // Up to version 5 a group of which nothing is known is Dead, and no error.
    const isUnknown = group?.errorCode === 0 && group.groupState === 'Dead' && group.members.length === 0
    return isUnknown ? { errorCode: GROUP_ID_NOT_FOUND } : verdict(group, classicDescription)
  })
}

async function describeNewer(groupIds: string[], ask: Ask): Promise<Array<Verdict<GroupDescription>>> {
  try {
    const answer = await ask('ConsumerGroupDescribe', { groupIds, includeAuthorizedOperations: false })
    const byId = new Map(answer.groups.map((group) => [group.groupId, group]))
    return groupIds.map((groupId) => verdict(byId.get(groupId), consumerDescription))
  } catch (error) {
    if (!(error instanceof OttlaError) || error.code !== 'UNSUPPORTED') throw error
    return groupIds.map(() => ({ errorCode: UNSUPPORTED_VERSION }))
  }
}

function consumerDescription(group: Answer<'ConsumerGroupDescribe'>['groups'][number]): GroupDescription {
  return {
    groupId: group.groupId,
    type: 'consumer',
    state: group.groupState,
    protocolType: CONSUMER,
    assignor: group.assignorName,
    groupEpoch: group.groupEpoch,
    members: group.members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      host: hostOf(member.clientHost),
      memberEpoch: member.memberEpoch,
      assignment: partitionsOf(member.assignment.topicPartitions),
      target: partitionsOf(member.targetAssignment.topicPartitions),
      subscribed: member.subscribedTopicNames,
    })),
  }
}

export function partitionsOf(
  topics: ReadonlyArray<{ topicName: string; partitions: readonly number[] }>,
): TopicPartition[] {
  return topics.flatMap(({ topicName: topic, partitions }) => partitions.map((partition) => ({ topic, partition })))
}

function classicDescription(group: Answer<'DescribeGroups'>['groups'][number]): GroupDescription {
  const isOfConsumers = group.protocolType === CONSUMER
  return {
    groupId: group.groupId,
    type: 'classic',
    state: group.groupState,
    protocolType: group.protocolType,
    assignor: group.protocolData,
    members: group.members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.groupInstanceId,
      clientId: member.clientId,
      host: hostOf(member.clientHost),
      assignment: isOfConsumers ? assignedBy(member.memberAssignment) : [],
      subscribed: isOfConsumers ? subscribedBy(member.memberMetadata) : [],
    })),
  }
}

/** Brokers put Java's slash in front of an address. */
export const hostOf = (clientHost: string) => clientHost.replace(/^\//, '')

const assignedBy = (bytes: Uint8Array): TopicPartition[] =>
  readable(bytes, (value) =>
    decodeAssignment(value).assignedPartitions.flatMap(({ topic, partitions }) =>
      partitions.map((partition) => ({ topic, partition })),
    ),
  )

const subscribedBy = (bytes: Uint8Array): string[] => readable(bytes, (value) => decodeSubscription(value).topics)

/** What members tell each other is theirs: bytes that make no sense here are no fault of the group's. */
function readable<T>(bytes: Uint8Array, read: (bytes: Uint8Array) => T[]): T[] {
  if (bytes.length === 0) return []
  try {
    return read(bytes)
  } catch (error) {
    if (error instanceof MalformedError) return []
    throw error
  }
}

function withLag(run: AdminRun, described: PerEntry<string, GroupDescription>): PerEntry<string, GroupDescription> {
  const outcomes = described.settled().then(async (found) => {
    const lags = await lagOf(
      run,
      found.flatMap(({ value }) => (value ? [value] : [])),
    )
    return found.map((outcome) => {
      const { entry, value } = outcome
      if (!value) return outcome
      const lag = lags.get(value.groupId)
      return lag instanceof OttlaError ? { entry, error: lag } : { entry, value: { ...value, lag: lag ?? [] } }
    })
  })
  return perEntry(outcomes)
}

/** With their committed offsets. Rejects GROUP_NOT_EMPTY while one has members, UNKNOWN_GROUP. */
export function deleteConsumerGroups(
  driver: AdminDriver,
  groupIds: readonly string[],
  options: AdminOptions = {},
): PerEntry<string, string> {
  return driver.run(options).each<string, string>({
    entries: groupIds,
    where: (group) => ({ group }),
    doing: (group) => `deleting group ${group}`,
    isChange: true,
    async ask(entries, ask) {
      const { results } = await ask('DeleteGroups', { groupsNames: entries })
      const byId = new Map(results.map((result) => [result.groupId, result]))
      return entries.map((groupId) => verdict(byId.get(groupId), () => groupId))
    },
  })
}
