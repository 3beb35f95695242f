/**
 * Heartbeats of members of streams groups: which group they are for, the topics that its topology needs, and the answer when
 * everything before it is on disk.
 */
import { KafkaError } from '../../../protocol/errors.ts'
import { JOIN_EPOCH } from '../../../protocol/messages/consumer-groups.ts'
import { StreamsStatus } from '../../../protocol/messages/streams-groups.ts'
import type { HeartbeatCommand } from '../consumer/membership.ts'
import type { TopicCatalog } from '../consumer/topics.ts'
import type { Instant } from '../group-state.ts'
import { type HeldGroup, isNothing } from '../held-group.ts'
import { type Settling, settle, unknownMember } from '../settle.ts'
import { type ConfiguredTopology, configure } from './configured.ts'
import type { StreamsGroup, StreamsHeartbeat, StreamsReply } from './streams-group.ts'
import { checkTopology, type InternalTopic } from './topology.ts'

/** Rejects with KafkaError when the client may not, or it cannot be made. */
export type MakeTopic = (topic: InternalTopic) => Promise<void>

export interface StreamsRequestsOptions extends Settling {
  topics: TopicCatalog
  now: () => Instant
  /** Throws KafkaError when there is no room for one more group, or for more that members say of themselves. */
  checkRoom: (
    group: HeldGroup | undefined,
    command: { memberId: string; subscribedNames: readonly string[] | null; subscribedRegex: null },
  ) => void
}

export class StreamsRequests {
  readonly #options: StreamsRequestsOptions

  constructor(options: StreamsRequestsOptions) {
    this.#options = options
  }

  async heartbeat(groupId: string, command: StreamsHeartbeat, makeTopic: MakeTopic): Promise<StreamsReply> {
    const { store, now } = this.#options
    store.checkReady()
    if (command.topology) checkTopology(command.topology)
    const configured = await this.#ready(this.#find(groupId, command), command, makeTopic)
    // The group may be another one by now.
    store.checkReady()
    const machine = this.#find(groupId, command)
    const { reply, records } = machine.heartbeat(command, configured, now())
    await settle(this.#options, machine, records)
    return reply
  }

  /** The topology with its topics, which are made where they are missing. */
  async #ready(machine: StreamsGroup, command: StreamsHeartbeat, makeTopic: MakeTopic): Promise<ConfiguredTopology> {
    const { topics } = this.#options
    const topology = machine.topologyWith(command)
    const known = machine.configured
    if (known?.topology === topology && known.topicsVersion === topics.topicsVersion && known.missing.length === 0)
      return known
    const found = configure(topology, topics)
    if (found.missing.length === 0) return found
    const failures: string[] = []
    for (const topic of found.missing) {
      try {
        await makeTopic(topic)
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error
        failures.push(`${topic.name}: ${error.message}`)
      }
    }
    const made = configure(topology, topics)
    if (failures.length === 0 || made.missing.length === 0) return made
    const statusDetail = `${made.problems[0]!.statusDetail}; ${failures.join('; ')}`.slice(0, DETAIL_CHARS_MAX)
    return { ...made, problems: [{ statusCode: StreamsStatus.missingInternalTopics, statusDetail }] }
  }

  async leave(
    groupId: string,
    command: Pick<HeartbeatCommand, 'memberId' | 'memberEpoch' | 'instanceId'>,
  ): Promise<void> {
    const { store, now } = this.#options
    store.checkReady()
    const machine = store.groups.get(groupId)?.machine
    if (machine?.type !== 'streams') throw unknownMember(groupId, command.memberId)
    await settle(this.#options, machine, machine.leave(command, now()))
  }

  expire(machine: StreamsGroup): void {
    // What cannot be written now is found necessary again when the state has been read anew.
    settle(this.#options, machine, machine.expire(this.#options.now())).catch(() => {})
  }

  /** A group comes to be when its first member joins; one of another kind becomes it only while it is a name alone. */
  #find(groupId: string, command: StreamsHeartbeat): StreamsGroup {
    const { store, checkRoom } = this.#options
    const known = store.groups.get(groupId)
    if (command.memberEpoch !== JOIN_EPOCH && !known) throw unknownMember(groupId, command.memberId)
    const { memberId, topology } = command
    // What it says of itself, as one text.
    checkRoom(known, { memberId, subscribedNames: topology && [JSON.stringify(topology)], subscribedRegex: null })
    if (known?.machine.type === 'streams') return known.machine
    const canBecome = known && known.machine.type === 'classic' && known.machine.isEmpty
    if (known && !isNothing(known) && !canBecome)
      throw new KafkaError('GROUP_ID_NOT_FOUND', `${groupId} is not a streams group`)
    return store.newStreamsGroup(groupId, known?.machine)
  }
}

const DETAIL_CHARS_MAX = 1000
