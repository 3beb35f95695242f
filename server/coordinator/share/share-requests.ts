/**
 * Heartbeats of members of share groups: which group they are for, where its partitions begin, and the answer when
 * everything before it is on disk.
 */
import { KafkaError } from '../../../protocol/errors.ts'
import { JOIN_EPOCH } from '../../../protocol/messages/consumer-groups.ts'
import type { HeartbeatReply } from '../consumer/consumer-group.ts'
import { eachOf } from '../consumer/partitions.ts'
import type { Instant } from '../group-state.ts'
import { type HeldGroup, isNothing } from '../held-group.ts'
import type { TopicPartition } from '../offsets.ts'
import { type Settling, settle, unknownMember } from '../settle.ts'
import type { ShareGroup, ShareHeartbeat } from './share-group.ts'

export interface ShareRequestsOptions extends Settling {
  now: () => Instant
  /** Throws KafkaError when there is no room for one more group, or for more that members say of themselves. */
  checkRoom: (group: HeldGroup | undefined, command: ShareHeartbeat & { subscribedRegex: null }) => void
  /** Resolves when it is on disk from where the group reads these. Rejects with KafkaError. */
  begin: (groupId: string, partitions: readonly TopicPartition[]) => Promise<void>
}

export class ShareRequests {
  readonly #options: ShareRequestsOptions

  constructor(options: ShareRequestsOptions) {
    this.#options = options
  }

  async heartbeat(groupId: string, command: ShareHeartbeat): Promise<HeartbeatReply> {
    const { store, now, begin } = this.#options
    store.checkReady()
    const machine = this.#find(groupId, command)
    const { reply, records } = machine.heartbeat(command, now())
    await settle(this.#options, machine, records)
    // A record that is written from here on is read by the group, whenever the member comes to fetch it.
    const assigned = reply.assignment ? [...eachOf(reply.assignment)] : []
    await begin(
      groupId,
      assigned.map(([topicId, partition]) => ({ topicId, partition })),
    )
    return reply
  }

  async leave(groupId: string, memberId: string): Promise<void> {
    const { store, now } = this.#options
    store.checkReady()
    const machine = store.groups.get(groupId)?.machine
    if (machine?.type !== 'share') throw unknownMember(groupId, memberId)
    await settle(this.#options, machine, machine.leave(memberId, now()).records)
  }

  expire(machine: ShareGroup): void {
    // What cannot be written now is found necessary again when the state has been read anew.
    settle(this.#options, machine, machine.expire(this.#options.now()).records).catch(() => {})
  }

  /** A group comes to be when its first member joins. Groups of other kinds never become share groups. */
  #find(groupId: string, command: ShareHeartbeat): ShareGroup {
    const { store, checkRoom } = this.#options
    const known = store.groups.get(groupId)
    if (command.memberEpoch !== JOIN_EPOCH && !known) throw unknownMember(groupId, command.memberId)
    checkRoom(known, { ...command, subscribedRegex: null })
    if (known?.machine.type === 'share') return known.machine
    if (known && !isNothing(known)) throw new KafkaError('GROUP_ID_NOT_FOUND', `${groupId} is not a share group`)
    return store.newShareGroup(groupId)
  }
}
