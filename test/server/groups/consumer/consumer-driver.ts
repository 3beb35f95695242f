/**
 * Drives the state machine of one consumer group: heartbeats at a time that only the test moves. What members know is kept
 * as a client would keep it, and records as a disk would.
 */
import { ErrorCode, KafkaError } from '../../../../protocol/errors.ts'
import { ConsumerGroup, type HeartbeatReply } from '../../../../server/coordinator/consumer/consumer-group.ts'
import type { ConsumerRecord } from '../../../../server/coordinator/consumer/consumer-records.ts'
import type { ConsumerLimits } from '../../../../server/coordinator/consumer/consumer-state.ts'
import type { HeartbeatCommand } from '../../../../server/coordinator/consumer/membership.ts'
import { common, eachOf, NO_PARTITIONS, type Partitions } from '../../../../server/coordinator/consumer/partitions.ts'
import type { TopicCatalog } from '../../../../server/coordinator/consumer/topics.ts'
import { decodeRecord, encodeRecord } from '../../../../server/coordinator/group-records.ts'
import type { Instant } from '../../../../server/coordinator/group-state.ts'
import { NamePattern } from '../../../../server/pattern/name-pattern.ts'
import { ERA_MS } from '../group-driver.ts'

export const SESSION_MS = 45_000
export const INTERVAL_MS = 5000
export const REBALANCE_MS = 30_000

export const consumerLimits: ConsumerLimits = {
  sessionTimeoutMs: SESSION_MS,
  heartbeatIntervalMs: INTERVAL_MS,
  membersMax: 100,
  assignors: ['uniform', 'range'],
  downgradedMembersMax: 0,
}

/** Names to partition counts; an id is the name in capitals and how often there was a topic of that name. */
export class Topics implements TopicCatalog {
  topicsVersion = 0
  readonly #byName = new Map<string, { id: string; name: string; partitions: { length: number } }>()
  #made = 0

  constructor(counts: Readonly<Record<string, number>> = {}) {
    for (const [name, count] of Object.entries(counts)) this.put(name, count)
  }

  topics() {
    return this.#byName.values()
  }

  topicByName(name: string) {
    return this.#byName.get(name)
  }

  topicById(id: string) {
    return [...this.#byName.values()].find((topic) => topic.id === id)
  }

  put(name: string, partitionCount: number): void {
    const id = this.#byName.get(name)?.id ?? `${name.toUpperCase()}${this.#made++ || ''}`
    this.#byName.set(name, { id, name, partitions: { length: partitionCount } })
    this.topicsVersion++
  }

  delete(name: string): void {
    this.#byName.delete(name)
    this.topicsVersion++
  }
}

interface KnownMember {
  epoch: number
  /** What it was told to read. */
  assigned: Partitions
  /** What it reads. */
  owned: Partitions
  instanceId: string | null
}

export type Beat = Partial<HeartbeatCommand>

export class ConsumerDriver {
  readonly topics: Topics
  group: ConsumerGroup
  readonly members = new Map<string, KnownMember>()
  readonly disk: ConsumerRecord[] = []
  nowMs = 0
  readonly #limits: ConsumerLimits

  constructor(topics: Topics | Readonly<Record<string, number>>, limits: Partial<ConsumerLimits> = {}) {
    this.topics = topics instanceof Topics ? topics : new Topics(topics)
    this.#limits = { ...consumerLimits, ...limits }
    this.group = this.#newGroup()
  }

  get at(): Instant {
    return { monotonicMs: this.nowMs, wallMs: ERA_MS + this.nowMs }
  }

  join(memberId: string, names: readonly string[] = ['t'], beat: Beat = {}): HeartbeatReply {
    const joining = { memberEpoch: 0, subscribedNames: names, rebalanceTimeoutMs: REBALANCE_MS, owned: NO_PARTITIONS }
    return this.beat(memberId, { ...joining, ...beat })
  }

  /** What the member says by itself when nothing has changed for it. */
  beat(memberId: string, beat: Beat = {}): HeartbeatReply {
    const known = this.members.get(memberId)
    const command: HeartbeatCommand = {
      memberId,
      memberEpoch: known?.epoch ?? 0,
      instanceId: known?.instanceId ?? null,
      rackId: null,
      clientId: 'client',
      clientHost: '/127.0.0.1',
      rebalanceTimeoutMs: null,
      subscribedNames: null,
      subscribedRegex: null,
      serverAssignor: null,
      owned: null,
      ...beat,
    }
    const regex = this.group.unresolvedPattern(command)
    const { reply, records } = this.group.heartbeat(
      command,
      regex === undefined ? undefined : this.#match(regex),
      this.at,
    )
    this.disk.push(...records)
    const { memberEpoch: epoch, assignment } = reply
    const assigned = assignment ?? known?.assigned ?? NO_PARTITIONS
    this.members.set(memberId, {
      ...{ epoch, assigned, instanceId: command.instanceId },
      owned: command.memberEpoch === 0 ? NO_PARTITIONS : (known?.owned ?? NO_PARTITIONS),
    })
    return reply
  }

  /** Lets go of what it was not told to read, begins to read what it was, and says so. */
  obey(memberId: string): HeartbeatReply {
    const known = this.members.get(memberId)!
    known.owned = known.assigned
    return this.beat(memberId, { owned: known.owned })
  }

  /** Until nobody has anything to do. */
  settle(): void {
    const isAtRest = () => [...this.members.values()].every(({ owned, assigned }) => owned === assigned)
    for (let round = 0; !/Stable|Empty/.test(this.group.phase) || !isAtRest(); round++) {
      if (round > 20)
        throw new Error(`still ${this.group.phase} after ${round} rounds: ${JSON.stringify(this.owned())}`)
      this.advance(INTERVAL_MS)
      for (const memberId of this.members.keys()) this.obey(memberId)
    }
  }

  /** The code of the refusal, or NONE. */
  code(action: () => unknown): number {
    try {
      action()
      return ErrorCode.NONE
    } catch (error) {
      if (error instanceof KafkaError) return error.code
      throw error
    }
  }

  leave(memberId: string, memberEpoch = -1): HeartbeatReply {
    const instanceId = this.members.get(memberId)?.instanceId ?? null
    const { reply, records } = this.group.leave({ memberId, memberEpoch, instanceId }, this.at)
    this.disk.push(...records)
    this.members.delete(memberId)
    return reply
  }

  /** To `nowMs` + `ms`, stopping at every deadline on the way. */
  advance(ms: number): void {
    const end = this.nowMs + ms
    for (let next = this.group.nextDeadline; next !== undefined && next <= end; next = this.group.nextDeadline) {
      this.nowMs = Math.max(this.nowMs, next)
      this.disk.push(...this.group.expire(this.at).records)
    }
    this.nowMs = end
  }

  /** Another process reads what is on disk. */
  restart(): void {
    this.group = this.#newGroup()
    for (const record of this.disk) {
      // The way over text, as it is stored.
      this.group.restore(decodeRecord(encodeRecord(record)) as ConsumerRecord)
    }
    this.group.resume(this.at)
  }

  /** By member, as `T0`: topic id and partition. */
  owned(): Record<string, string[]> {
    return Object.fromEntries([...this.members].map(([memberId, { owned }]) => [memberId, textOf(owned)]))
  }

  assigned(memberId: string): string[] {
    return textOf(this.members.get(memberId)!.assigned)
  }

  target(memberId: string): string[] {
    return textOf([...this.group.members].find((member) => member.memberId === memberId)!.target)
  }

  /** Members that read the same partition. */
  overlaps(): string[] {
    const members = [...this.members]
    return members.flatMap(([a, { owned }], index) =>
      members
        .slice(index + 1)
        .flatMap(([b, other]) => textOf(common(owned, other.owned)).map((at) => `${a} ${b} ${at}`)),
    )
  }

  #match(regex: string) {
    const pattern = new NamePattern(regex)
    const names = [...this.topics.topics()].map(({ name }) => name).filter((name) => pattern.matches(name))
    return { regex, names: names.sort(), topicsVersion: this.topics.topicsVersion }
  }

  #newGroup(): ConsumerGroup {
    return new ConsumerGroup('g', () => this.#limits, this.topics, this.at)
  }
}

export const textOf = (partitions: Partitions): string[] =>
  [...eachOf(partitions)].map(([id, partition]) => id + partition)
