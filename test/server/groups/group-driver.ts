/** Drives the state machine of one group: commands at a time that only the test moves, replies by ticket. */
import { ClassicGroup } from '../../../server/coordinator/classic-group.ts'
import type { GroupLimits, Instant, JoinReply, Outcome, SyncReply } from '../../../server/coordinator/group-state.ts'
import type { JoinCommand, Leaver } from '../../../server/coordinator/membership.ts'

export const ERA_MS = 1_700_000_000_000
const utf8 = new TextEncoder()
export const bytes = (text: string): Uint8Array => utf8.encode(text)
export const text = (value: Uint8Array): string => new TextDecoder().decode(value)

export const defaultLimits: GroupLimits = {
  initialRebalanceDelayMs: 3000,
  sessionTimeoutMsMin: 6000,
  sessionTimeoutMsMax: 1_800_000,
  membersMax: 100,
}

export interface JoinOptions {
  memberId?: string
  instance?: string
  sessionTimeoutMs?: number
  rebalanceTimeoutMs?: number
  protocols?: Readonly<Record<string, string>>
  protocolType?: string
  mustKnowItsId?: boolean
  canSkipAssignment?: boolean
}

export class GroupDriver {
  readonly group: ClassicGroup
  readonly joins = new Map<number, JoinReply>()
  readonly syncs = new Map<number, SyncReply>()
  /** How often a record had to be written. */
  persisted = 0
  nowMs = 0
  #ticket = 0
  #ids = 0

  constructor(limits: Partial<GroupLimits> = {}, group?: ClassicGroup) {
    this.group = group ?? new ClassicGroup('g', () => ({ ...defaultLimits, ...limits }), this.at)
  }

  get at(): Instant {
    return { monotonicMs: this.nowMs, wallMs: ERA_MS + this.nowMs }
  }

  /** The ticket; `joins` has the reply when there is one. */
  join(options: JoinOptions = {}): number {
    const ticket = ++this.#ticket
    const command: JoinCommand = {
      ticket,
      memberId: options.memberId ?? '',
      newMemberId: `m${++this.#ids}`,
      groupInstanceId: options.instance ?? null,
      clientId: 'client',
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: options.sessionTimeoutMs ?? 10_000,
      rebalanceTimeoutMs: options.rebalanceTimeoutMs ?? 60_000,
      protocolType: options.protocolType ?? 'consumer',
      protocols: Object.entries(options.protocols ?? { range: 'x' }).map(([name, metadata]) => ({
        name,
        metadata: bytes(metadata),
      })),
      mustKnowItsId: options.mustKnowItsId ?? false,
      canSkipAssignment: options.canSkipAssignment ?? false,
    }
    this.#take(this.group.join(command, this.at))
    return ticket
  }

  sync(memberId: string, generationId: number, assignments: Readonly<Record<string, string>> = {}, instance?: string) {
    const ticket = ++this.#ticket
    const command = {
      ...{ ticket, memberId, generationId, groupInstanceId: instance ?? null, protocolType: null, protocolName: null },
      assignments: Object.entries(assignments).map(([to, part]) => ({ memberId: to, assignment: bytes(part) })),
    }
    this.#take(this.group.sync(command, this.at))
    return ticket
  }

  heartbeat(memberId: string, generationId = this.group.generationId, instance: string | null = null): number {
    return this.group.heartbeat({ memberId, generationId, groupInstanceId: instance }, this.at)
  }

  leave(...leavers: readonly Leaver[]): number[] {
    const { outcome, errorCodes } = this.group.leave(leavers, this.at)
    this.#take(outcome)
    return errorCodes
  }

  commitError(memberId: string, generationId: number, instance: string | null = null): number {
    return this.group.commitError({ memberId, generationId, groupInstanceId: instance }, this.at)
  }

  /** To `nowMs` + `ms`, stopping at every deadline on the way. */
  advance(ms: number): void {
    const end = this.nowMs + ms
    for (let next = this.group.nextDeadline; next !== undefined && next <= end; next = this.group.nextDeadline) {
      this.nowMs = Math.max(this.nowMs, next)
      this.#take(this.group.expire(this.at))
    }
    this.nowMs = end
  }

  /** Members that have joined, synced and share a stable generation; the first leads. Ids as given out. */
  stable(count: number, options: JoinOptions = {}): string[] {
    const tickets = Array.from({ length: count }, () => this.join(options))
    while (this.group.phase === 'PreparingRebalance') this.advance(1000)
    const ids = tickets.map((ticket) => this.joins.get(ticket)!.memberId)
    const { generationId } = this.group
    const assignments = Object.fromEntries(ids.map((id) => [id, `for ${id}`]))
    for (const id of ids.slice(1)) this.sync(id, generationId)
    this.sync(ids[0]!, generationId, assignments)
    return ids
  }

  #take({ replies, mustPersist }: Outcome): void {
    if (mustPersist) this.persisted++
    for (const reply of replies) {
      if (reply.kind === 'join') this.joins.set(reply.ticket, reply.body)
      else this.syncs.set(reply.ticket, reply.body)
    }
  }
}
