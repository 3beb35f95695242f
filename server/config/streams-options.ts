/** What the relay's streams groups go by, and what single groups may set for themselves (KIP-1071). */
import { wholeNumber } from './definition.ts'

const INT32_MAX = 2 ** 31 - 1

const about = { type: 'int', min: 1, max: INT32_MAX, unit: 'ms' } as const
const session = {
  ...about,
  default: 45_000,
  doc: 'A member of a streams group that has been silent for so long is out.',
}
const interval = { ...about, default: 5000, doc: 'How often members of streams groups are asked to be heard.' }

/** For all groups. */
export const streamsRelayOptions = {
  groupStreamsSessionTimeoutMs: wholeNumber({ ...session, name: 'group-streams-session-timeout-ms' }),
  groupStreamsHeartbeatIntervalMs: wholeNumber({ ...interval, name: 'group-streams-heartbeat-interval-ms' }),
  groupStreamsMaxSize: wholeNumber({
    name: 'group-streams-max-size',
    default: 10_000,
    min: 1,
    max: INT32_MAX,
    unit: 'members',
    doc: 'Members of a streams group at a time; further ones are refused.',
  }),
} as const

/** For one group. */
export const streamsGroupDefinitions = {
  streamsSessionTimeoutMs: wholeNumber({ ...session, name: 'streams.session.timeout.ms' }),
  streamsHeartbeatIntervalMs: wholeNumber({ ...interval, name: 'streams.heartbeat.interval.ms' }),
} as const

/** What the relay calls the same for all groups. */
export const relayOptionOfStreamsGroup = {
  streamsSessionTimeoutMs: 'groupStreamsSessionTimeoutMs',
  streamsHeartbeatIntervalMs: 'groupStreamsHeartbeatIntervalMs',
} as const
