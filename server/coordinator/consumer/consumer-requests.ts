/**
 * Heartbeats of the next protocol: which group they are for, what their regular expressions match, and the answer when
 * everything before it is on disk.
 */
import { KafkaError } from '../../../protocol/errors.ts'
import { JOIN_EPOCH } from '../../../protocol/messages/consumer-groups.ts'
import type { Instant } from '../group-state.ts'
import type { GroupStore } from '../group-store.ts'
import type { HeldGroup } from '../held-group.ts'
import type { ConsumerGroup, HeartbeatOutcome, HeartbeatReply } from './consumer-group.ts'
import type { ConsumerRecord } from './consumer-records.ts'
import type { ResolvedPattern } from './consumer-state.ts'
import type { HeartbeatCommand } from './membership.ts'

export interface ConsumerRequestsOptions {
  store: GroupStore
  now: () => Instant
  /** Throws KafkaError when there is no room for one more group, or for more that members say of themselves. */
  checkRoom: (group: HeldGroup | undefined, command: HeartbeatCommand) => void
  /** Matches all topics that the member may know of. Rejects with KafkaError INVALID_REGULAR_EXPRESSION. */
  resolve: (regex: string, isVisible: (topic: string) => boolean) => Promise<ResolvedPattern>
  /** The group has changed: what it takes, and when it must be looked at. */
  onChanged: (group: HeldGroup) => void
}

export class ConsumerRequests {
  readonly #options: ConsumerRequestsOptions

  constructor(options: ConsumerRequestsOptions) {
    this.#options = options
  }

  async heartbeat(
    groupId: string,
    command: HeartbeatCommand,
    isVisible: (topic: string) => boolean,
  ): Promise<HeartbeatReply> {
    const { store, resolve } = this.#options
    store.checkReady()
    const regex = this.#machineFor(groupId, command).unresolvedPattern(command)
    const pattern = regex === undefined ? undefined : await resolve(regex, isVisible)
    // The group may be another one by now.
    if (pattern) store.checkReady()
    const machine = this.#machineFor(groupId, command)
    return this.#answer(machine, machine.heartbeat(command, pattern, this.#options.now()))
  }

  async leave(
    groupId: string,
    command: Pick<HeartbeatCommand, 'memberId' | 'memberEpoch' | 'instanceId'>,
  ): Promise<HeartbeatReply> {
    this.#options.store.checkReady()
    const machine = this.#options.store.groups.get(groupId)?.machine
    if (machine?.type !== 'consumer') throw unknownMember(groupId, command.memberId)
    return this.#answer(machine, machine.leave(command, this.#options.now()))
  }

  expire(group: HeldGroup, machine: ConsumerGroup): void {
    const records = machine.expire(this.#options.now())
    // It is found necessary again when the state has been read anew.
    if (records.length > 0) this.#write(records).catch(() => {})
    this.#options.onChanged(group)
  }

  /** A group comes to be, or changes its protocol, when somebody joins it who may. */
  #machineFor(groupId: string, command: HeartbeatCommand): ConsumerGroup {
    const { store, checkRoom } = this.#options
    const known = store.groups.get(groupId)
    if (command.memberEpoch !== JOIN_EPOCH && !known) throw unknownMember(groupId, command.memberId)
    checkRoom(known, command)
    if (known?.machine.type === 'consumer') return known.machine
    if (known && (command.memberEpoch !== JOIN_EPOCH || !known.machine.isEmpty))
      throw new KafkaError('GROUP_ID_NOT_FOUND', `${groupId} is a group of the classic protocol`)
    return store.newConsumerGroup(groupId)
  }

  async #answer(machine: ConsumerGroup, { reply, records }: HeartbeatOutcome): Promise<HeartbeatReply> {
    const { store, onChanged } = this.#options
    const group = store.put(machine)
    const written = this.#write(records)
    onChanged(group)
    await written
    return reply
  }

  async #write(records: readonly ConsumerRecord[]): Promise<void> {
    const { store } = this.#options
    const { epoch } = store
    try {
      await store.change(records)
    } catch (error) {
      // The machine has gone on already.
      store.failOver(epoch, error)
      throw error
    }
  }
}

function unknownMember(groupId: string, memberId: string): KafkaError {
  return new KafkaError('UNKNOWN_MEMBER_ID', `group ${groupId} has no member ${memberId}`)
}
