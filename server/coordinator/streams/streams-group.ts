/**
 * A group of Kafka Streams (KIP-1071): a consumer group whose members share out tasks instead of partitions. A task is one
 * partition of one part of the topology; it has one owner, and changes hands as a partition does (consumer/reconcile.ts).
 *
 * It has no clock and does no I/O; `nextDeadline` says when `expire` must be called at the latest.
 */

import { ErrorCode, KafkaError } from '../../../protocol/errors.ts'
import { JOIN_EPOCH } from '../../../protocol/messages/consumer-groups.ts'
import { StreamsStatus } from '../../../protocol/messages/streams-groups.ts'
import { AssignedGroup } from '../consumer/assigned-group.ts'
import type { CommitClaim, EpochClaim } from '../consumer/consumer-group.ts'
import { type ConsumerRecord, changedRecords } from '../consumer/consumer-records.ts'
import {
  bumpEpoch,
  Changes,
  type ConsumerLimits,
  type ConsumerPhase,
  newConsumerState,
  phaseOf,
  removeMember,
  wakeBy,
} from '../consumer/consumer-state.ts'
import { type ConsumerMember, deadlineOf, type StreamsSide } from '../consumer/member.ts'
import { admit, findSender, type HeartbeatCommand, leave, profileOf } from '../consumer/membership.ts'
import { isPartOf, isSame, type Partitions } from '../consumer/partitions.ts'
import { reconcile } from '../consumer/reconcile.ts'
import { assign, noticeTasks } from '../consumer/target.ts'
import type { TopicCatalog } from '../consumer/topics.ts'
import type { Instant } from '../group-state.ts'
import type { ConfiguredTopology, Status } from './configured.ts'
import { inputsOf, isSameTopology, sizeOfTopology, type Topology } from './topology.ts'

export type StreamsLimits = Pick<ConsumerLimits, 'sessionTimeoutMs' | 'heartbeatIntervalMs' | 'membersMax'>

/** What one heartbeat says. null: as before. */
export interface StreamsHeartbeat
  extends Pick<
    HeartbeatCommand,
    'memberId' | 'memberEpoch' | 'instanceId' | 'rackId' | 'clientId' | 'clientHost' | 'rebalanceTimeoutMs'
  > {
  topology: Topology | null
  active: Partitions | null
  processId: string | null
  userEndpoint: StreamsSide['userEndpoint']
  clientTags: StreamsSide['clientTags'] | null
  endpointEpoch: number
  wantsShutdown: boolean
}

export interface StreamsReply {
  memberId: string
  memberEpoch: number
  heartbeatIntervalMs: number
  /** null: as the member knows it. */
  active: Partitions | null
  status: readonly Status[]
  endpointEpoch: number
  /** null: as the member knows them. */
  endpoints: readonly EndpointPartitions[] | null
}

/** Where what can be queried. */
export interface EndpointPartitions {
  endpoint: { host: string; port: number }
  topics: ReadonlyArray<{ topic: string; partitions: number[] }>
}

export type StreamsPhase = ConsumerPhase | 'NotReady'

const ASSIGNMENT = { assignors: ['uniform'] }
const NO_ENDPOINTS = '[]'
/** A member that waits for others is asked to look again soon. */
const SOON_MS = 1000
const BYTES_PER_TASK = 64

export class StreamsGroup extends AssignedGroup<StreamsLimits> {
  readonly type = 'streams'
  readonly protocolType = 'streams'
  /** Since the group has had members. */
  #isShuttingDown = false
  /** What was told last of where the application may be queried. */
  #endpointsTold = NO_ENDPOINTS
  #isEndpointsOld = true

  constructor(groupId: string, limits: () => StreamsLimits, topics: TopicCatalog, at: Instant, epoch = 0) {
    super(newConsumerState(groupId, at, 'streams', epoch), limits, topics)
  }

  get topology(): Topology | null {
    return this.state.topology
  }

  get configured(): ConfiguredTopology | undefined {
    return this.state.configured
  }

  get phase(): StreamsPhase {
    if (!this.isEmpty && (this.state.configured?.problems.length ?? 0) > 0) return 'NotReady'
    return phaseOf(this.state)
  }

  /** What members said of themselves and of the application, and what they are to do. */
  get sizeBytes(): number {
    const { topology, profileBytes, targetedCount } = this.state
    return profileBytes + targetedCount * BYTES_PER_TASK + (topology ? sizeOfTopology(topology) : 0)
  }

  /**
   * The topology that the group has with this heartbeat. Throws KafkaError when the member has another one, or an older:
   * a group changes over when a member brings a newer, or when nobody is in it.
   */
  topologyWith({ memberId, topology }: Pick<StreamsHeartbeat, 'memberId' | 'topology'>): Topology {
    const known = this.state.topology
    if (!topology) {
      if (known) return known
      throw new KafkaError('INVALID_REQUEST', 'who joins tells its topology')
    }
    const others = this.state.members.size - (this.state.members.has(memberId) ? 1 : 0)
    if (!known || others === 0 || topology.epoch > known.epoch) return topology
    if (topology.epoch < known.epoch)
      throw new KafkaError('STREAMS_TOPOLOGY_FENCED', `the group runs topology ${known.epoch}, not ${topology.epoch}`)
    if (isSameTopology(topology, known)) return known
    throw new KafkaError('STREAMS_INVALID_TOPOLOGY', 'the members of the group run another topology of this epoch')
  }

  /** Throws KafkaError, and changes nothing then. */
  heartbeat(
    said: StreamsHeartbeat,
    configured: ConfiguredTopology,
    at: Instant,
  ): { reply: StreamsReply; records: ConsumerRecord[] } {
    const group = this.state
    const limits = this.limits()
    const command: HeartbeatCommand = { ...said, ...NEVER_SAID, owned: said.active }
    const sender = findSender(group, command)
    const before = sender.member ?? sender.replaced
    const standing = sender.member?.standing
    const sources = configured.topology.subtopologies.flatMap(({ sources: names }) => names)
    const profile = {
      ...profileOf({ ...command, subscribedNames: sources }, before?.profile),
      streams: streamsSide(said, configured.topology, before?.profile.streams ?? null),
    }
    const changes = new Changes()
    const wasEmpty = this.isEmpty
    if (wasEmpty) this.#isShuttingDown = false
    const member = admit(group, said.memberId, sender, profile, limits, changes)
    if (wasEmpty) this.since(at, changes)
    this.#take(configured, changes)
    noticeTasks(group, changes)
    assign(group, this.topics, ASSIGNMENT, at, changes)
    reconcile(group, member, said.active, at, changes)
    this.#isShuttingDown ||= said.wantsShutdown
    member.sessionDeadline = at.monotonicMs + limits.sessionTimeoutMs
    wakeBy(group, member.sessionDeadline)
    const { epoch, assigned } = member.standing
    this.#noticeEndpoints(configured, changes)
    // Who runs less than it should may not have heard the answer that told it.
    const runsLess = said.active !== null && !isPartOf(assigned, said.active)
    const mustTell = said.memberEpoch !== standing?.epoch || runsLess || !isSame(assigned, standing.assigned)
    const isWaiting = !member.isReconciled || this.epoch > this.assignmentEpoch || configured.problems.length > 0
    const reply: StreamsReply = {
      ...{ memberId: said.memberId, memberEpoch: epoch, active: mustTell ? assigned : null },
      heartbeatIntervalMs: isWaiting ? Math.min(SOON_MS, limits.heartbeatIntervalMs) : limits.heartbeatIntervalMs,
      status: this.#status(member, configured),
      endpointEpoch: group.endpointEpoch,
      endpoints: said.endpointEpoch === group.endpointEpoch ? null : this.#endpoints(configured),
    }
    return { reply, records: changedRecords(group, changes) }
  }

  /** Throws KafkaError, and changes nothing then. */
  leave(command: Pick<HeartbeatCommand, 'memberId' | 'memberEpoch' | 'instanceId'>, at: Instant): ConsumerRecord[] {
    const changes = new Changes()
    leave(this.state, command, changes)
    return this.#afterLoss(changes, at)
  }

  /** Members that were silent, or did not let go, are out; what can be assigned is. */
  expire(at: Instant): ConsumerRecord[] {
    const group = this.state
    const changes = new Changes()
    group.wakeAt = Number.POSITIVE_INFINITY
    for (const member of [...group.members.values()]) {
      const deadline = deadlineOf(member)
      if (deadline > at.monotonicMs) wakeBy(group, deadline)
      else removeMember(group, member, changes)
    }
    return this.#afterLoss(changes, at)
  }

  /** Whether offsets may be committed by this claim (NONE). */
  commitError({ memberId, memberEpoch, isTransactional = false }: CommitClaim): number {
    if (memberEpoch < 0 && this.isEmpty) return ErrorCode.NONE
    const member = this.state.members.get(memberId)
    if (!member) return ErrorCode.UNKNOWN_MEMBER_ID
    if (member.standing.epoch === memberEpoch) return ErrorCode.NONE
    return isTransactional ? ErrorCode.ILLEGAL_GENERATION : ErrorCode.STALE_MEMBER_EPOCH
  }

  /** Whether this member may look up offsets. */
  fetchError({ memberId, memberEpoch }: EpochClaim): number {
    const member = this.state.members.get(memberId)
    if (!member) return ErrorCode.UNKNOWN_MEMBER_ID
    return member.standing.epoch === memberEpoch ? ErrorCode.NONE : ErrorCode.STALE_MEMBER_EPOCH
  }

  subscribedTopics(): Set<string> {
    if (this.isEmpty) return new Set()
    return new Set((this.state.topology?.subtopologies ?? []).flatMap(inputsOf))
  }

  #take(configured: ConfiguredTopology, changes: Changes): void {
    const group = this.state
    const isNew = !group.topology || !isSameTopology(group.topology, configured.topology)
    group.configured = configured
    if (!isNew) return
    group.topology = configured.topology
    changes.hasTopology = true
    bumpEpoch(group, changes)
  }

  #status({ profile }: ConsumerMember, { topology, problems }: ConfiguredTopology): Status[] {
    const status = [...problems]
    const epoch = profile.streams?.topologyEpoch ?? topology.epoch
    if (epoch < topology.epoch)
      status.push({
        statusCode: StreamsStatus.staleTopology,
        statusDetail: `The group runs topology ${topology.epoch}.`,
      })
    if (this.#isShuttingDown)
      status.push({
        statusCode: StreamsStatus.shutdownApplication,
        statusDetail: 'A member asked for the shutdown of all.',
      })
    return status
  }

  /** What members have heard is old only when others would hear something else. */
  #noticeEndpoints(configured: ConfiguredTopology, changes: Changes): void {
    this.#isEndpointsOld ||= changes.standings.size + changes.removed.size + changes.profiles.size > 0
    if (!this.#isEndpointsOld) return
    this.#isEndpointsOld = false
    const told = JSON.stringify(this.#endpoints(configured))
    if (told === this.#endpointsTold) return
    this.#endpointsTold = told
    this.state.endpointEpoch++
  }

  #endpoints({ topology, counts }: ConfiguredTopology): EndpointPartitions[] {
    const parts = new Map(topology.subtopologies.map((part) => [part.id, part]))
    return [...this.state.members.values()].flatMap(({ profile, standing }) => {
      const endpoint = profile.streams?.userEndpoint
      if (!endpoint) return []
      const topics = [...standing.assigned].flatMap(([id, tasks]) => {
        const part = parts.get(id)
        return (part ? inputsOf(part) : []).map((topic) => ({
          ...{ topic, partitions: tasks.filter((partition) => partition < (counts.get(topic) ?? 0)) },
        }))
      })
      return [{ endpoint, topics }]
    })
  }

  #afterLoss(changes: Changes, at: Instant): ConsumerRecord[] {
    const group = this.state
    if (changes.removed.size > 0) {
      bumpEpoch(group, changes)
      this.#isEndpointsOld = true
      if (this.isEmpty) this.since(at, changes)
    }
    assign(group, this.topics, ASSIGNMENT, at, changes)
    return changedRecords(group, changes)
  }
}

/** What members of consumer groups say besides. */
const NEVER_SAID = { subscribedNames: null, subscribedRegex: null, serverAssignor: null } as const

function streamsSide(said: StreamsHeartbeat, topology: Topology, before: StreamsSide | null): StreamsSide {
  const isJoining = said.memberEpoch === JOIN_EPOCH
  return {
    topologyEpoch: said.topology?.epoch ?? before?.topologyEpoch ?? topology.epoch,
    processId: said.processId ?? before?.processId ?? '',
    userEndpoint: isJoining ? said.userEndpoint : (said.userEndpoint ?? before?.userEndpoint ?? null),
    clientTags: said.clientTags ?? before?.clientTags ?? [],
  }
}
