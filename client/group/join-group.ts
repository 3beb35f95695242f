/** A membership as the options of a group ask for it. */
import type { Clock } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import type { Lanes } from '../consumer/lanes.ts'
import { assignorsOf } from './assignors/names.ts'
import { ClassicMembership } from './classic-membership.ts'
import { ConsumerMembership } from './consumer-membership.ts'
import { EitherMembership } from './either-membership.ts'
import { protocolOf } from './group-protocol.ts'
import type { Membership, MembershipEvents } from './membership.ts'
import type { GroupOptions } from './options.ts'

export interface JoinOptions {
  groupId: string
  group: GroupOptions
  topics: readonly string[]
  pattern: string | null
  lanes: Lanes
  clock: Clock
  random: Random
  events: MembershipEvents
}

const SESSION_TIMEOUT_MS = { classic: 30_000, consumer: 45_000 }
export const REBALANCE_TIMEOUT_MS = 60_000

/** Not started yet. Throws INVALID_ARGUMENT. */
export function joinGroup(options: JoinOptions): Membership {
  const { group, pattern, events } = options
  const assignors = assignorsOf(group.assignors ?? ['cooperative-sticky'])
  const newConsumer = (told: MembershipEvents) => consumerMember({ ...options, events: told })
  const newClassic = (told: MembershipEvents) =>
    new ClassicMembership({
      ...{ ...common(options), assignors, events: told },
      sessionTimeoutMs: group.sessionTimeoutMs ?? SESSION_TIMEOUT_MS.classic,
      heartbeatMs: heartbeatMsOf(group),
      metadataEveryMs: group.metadataEveryMs ?? 30_000,
    })
  switch (protocolOf(group, pattern)) {
    case 'classic':
      return newClassic(events)
    case 'consumer':
      return newConsumer(events)
    default:
      return new EitherMembership(events, newConsumer, newClassic)
  }
}

function consumerMember(options: JoinOptions): Membership {
  const { group, pattern, lanes, random } = options
  return new ConsumerMembership({
    ...{ ...common(options), pattern, memberId: randomUuid(random) },
    serverAssignor: group.serverAssignor ?? null,
    sessionTimeoutMs: group.sessionTimeoutMs ?? SESSION_TIMEOUT_MS.consumer,
    directory: lanes.main.metadata,
  })
}

function common({ groupId, group, topics, lanes, clock, random, events }: JoinOptions) {
  return {
    ...{ groupId, topics, clock, random, events },
    session: lanes.ownSession(heartbeatMsOf(group)),
    groupInstanceId: group.groupInstanceId ?? null,
    rebalanceTimeoutMs: group.rebalanceTimeoutMs ?? REBALANCE_TIMEOUT_MS,
  }
}

/** Also how often the relay lets hear from itself, which is what a hidden page beats by. */
const heartbeatMsOf = ({ heartbeatMs = 3_000 }: GroupOptions) => heartbeatMs
