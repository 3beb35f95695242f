/** What the relay's share groups go by, and what single groups may set for themselves (KIP-932, KIP-1240). */
import { type ConfigDefinition, ConfigError, choice, wholeNumber, yesOrNo } from './definition.ts'
import { shareStartIn } from './share-start.ts'

const INT32_MAX = 2 ** 31 - 1

const docs = {
  session: 'A member of a share group that has been silent for so long is out.',
  interval: 'How often members of share groups are asked to be heard.',
  lock: 'How long a member of a share group may hold a record without saying what became of it.',
  deliveries: 'How often a record is handed out by a share group before it is given up.',
  locks: 'Records of one partition that a share group may have in hand, handed out or to be handed out again.',
} as const

const ranges = {
  session: { min: 1, max: INT32_MAX, unit: 'ms' },
  interval: { min: 1, max: INT32_MAX, unit: 'ms' },
  lock: { min: 1000, max: 3_600_000, unit: 'ms' },
  deliveries: { min: 2, max: 100, unit: 'deliveries' },
  locks: { min: 100, max: 10_000, unit: 'records' },
} as const

const defaults = { session: 45_000, interval: 5000, lock: 30_000, deliveries: 5, locks: 2000 } as const

type Setting = keyof typeof docs

const setting = (which: Setting, name: string) =>
  wholeNumber({ name, type: 'int', default: defaults[which], doc: docs[which], ...ranges[which] })

/** For all groups. */
export const shareRelayOptions = {
  groupShareSessionTimeoutMs: setting('session', 'group-share-session-timeout-ms'),
  groupShareHeartbeatIntervalMs: setting('interval', 'group-share-heartbeat-interval-ms'),
  groupShareRecordLockDurationMs: setting('lock', 'group-share-record-lock-duration-ms'),
  groupShareDeliveryCountLimit: setting('deliveries', 'group-share-delivery-count-limit'),
  groupSharePartitionMaxRecordLocks: setting('locks', 'group-share-partition-max-record-locks'),
  groupShareMaxSize: wholeNumber({
    name: 'group-share-max-size',
    default: 200,
    min: 1,
    max: 10_000,
    unit: 'members',
    doc: 'Members of a share group at a time; further ones are refused.',
  }),
  groupShareMaxShareSessions: wholeNumber({
    name: 'group-share-max-share-sessions',
    default: 2000,
    min: 1,
    max: 100_000,
    unit: 'sessions',
    doc: 'Members of all share groups that may fetch at a time; further ones are told to come later.',
  }),
} as const

/** For one group. */
export const shareGroupDefinitions = {
  shareSessionTimeoutMs: setting('session', 'share.session.timeout.ms'),
  shareHeartbeatIntervalMs: setting('interval', 'share.heartbeat.interval.ms'),
  shareRecordLockDurationMs: setting('lock', 'share.record.lock.duration.ms'),
  shareDeliveryCountLimit: setting('deliveries', 'share.delivery.count.limit'),
  sharePartitionMaxRecordLocks: setting('locks', 'share.partition.max.record.locks'),
  shareAutoOffsetReset: shareStart({
    name: 'share.auto.offset.reset',
    default: 'latest',
    doc: 'Where a share group begins in a partition that it has not read yet: earliest, latest, or by_duration: and an ISO 8601 duration, for what is not older.',
  }),
  shareIsolationLevel: choice({
    name: 'share.isolation.level',
    default: 'read_uncommitted',
    words: ['read_uncommitted', 'read_committed'],
    doc: 'Whether records of transactions that are open or were aborted are handed out.',
  }),
  shareRenewAcknowledgeEnable: yesOrNo({
    name: 'share.renew.acknowledge.enable',
    default: true,
    doc: 'Whether a member may prolong the time for which it holds a record.',
  }),
} as const

/** What the relay calls the same for all groups. */
export const relayOptionOfShareGroup = {
  shareSessionTimeoutMs: 'groupShareSessionTimeoutMs',
  shareHeartbeatIntervalMs: 'groupShareHeartbeatIntervalMs',
  shareRecordLockDurationMs: 'groupShareRecordLockDurationMs',
  shareDeliveryCountLimit: 'groupShareDeliveryCountLimit',
  sharePartitionMaxRecordLocks: 'groupSharePartitionMaxRecordLocks',
} as const

function shareStart(about: { name: string; default: string; doc: string }): ConfigDefinition<string> {
  const range = 'earliest, latest or by_duration:<ISO 8601 duration>'
  return {
    ...{ name: about.name, type: 'string', defaultValue: about.default, doc: about.doc, range },
    parse(raw) {
      const text = typeof raw === 'string' ? raw.trim() : ''
      if (!shareStartIn(text)) throw new ConfigError(about.name, raw, range)
      return text
    },
    format: (value) => value,
  }
}
