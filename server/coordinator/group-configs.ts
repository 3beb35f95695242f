/** What groups go by: the relay's settings, and what is configured for single groups, whether they exist or not. */
import { KafkaError } from '../../protocol/errors.ts'
import { shareStartIn } from '../config/share-start.ts'
import { ConfigError, checkGroupConfig, groupConfigOf, type RelayConfig } from '../config.ts'
import type { ConsumerLimits } from './consumer/consumer-state.ts'
import type { GroupOverrides } from './group-records.ts'
import type { GroupLimits } from './group-state.ts'
import type { GroupStore } from './group-store.ts'
import type { ShareConfig } from './share/share-deliveries.ts'
import type { ShareGroupLimits } from './share/share-group.ts'
import type { StreamsLimits } from './streams/streams-group.ts'

/** Groups with settings of their own. */
const CONFIGURED_GROUPS_MAX = 10_000

export type CoordinatorConfig = Pick<
  RelayConfig,
  | 'groupInitialRebalanceDelayMs'
  | 'groupMinSessionTimeoutMs'
  | 'groupMaxSessionTimeoutMs'
  | 'groupMaxSize'
  | 'groupConsumerSessionTimeoutMs'
  | 'groupConsumerHeartbeatIntervalMs'
  | 'groupConsumerMaxSize'
  | 'groupConsumerAssignors'
  | 'groupConsumerMigrationPolicy'
  | 'groupShareSessionTimeoutMs'
  | 'groupShareHeartbeatIntervalMs'
  | 'groupShareRecordLockDurationMs'
  | 'groupShareDeliveryCountLimit'
  | 'groupSharePartitionMaxRecordLocks'
  | 'groupShareMaxSize'
  | 'groupStreamsSessionTimeoutMs'
  | 'groupStreamsHeartbeatIntervalMs'
  | 'groupStreamsMaxSize'
  | 'offsetsRetentionMinutes'
  | 'offsetsRetentionCheckIntervalMs'
>

export class GroupConfigs {
  readonly #store: GroupStore
  readonly #config: CoordinatorConfig
  #lastChange: Promise<unknown> = Promise.resolve()

  constructor(store: GroupStore, config: CoordinatorConfig) {
    this.#store = store
    this.#config = config
  }

  /** By group id. Throws KafkaError while the coordinator is not ready. */
  get overrides(): ReadonlyMap<string, GroupOverrides> {
    this.#store.checkReady()
    return this.#store.configs
  }

  /**
   * `changesOf` is asked when all changes before this one have been made; `null` takes an override back. Rejects with what it
   * throws, and with KafkaError INVALID_CONFIG.
   */
  alter(
    groupId: string,
    changesOf: (overrides: GroupOverrides) => ReadonlyMap<string, string | null>,
    options: { validateOnly?: boolean } = {},
  ): Promise<void> {
    const altering = this.#lastChange.then(() => this.#alter(groupId, changesOf, options))
    this.#lastChange = altering.catch(() => {})
    return altering
  }

  async #alter(
    groupId: string,
    changesOf: (overrides: GroupOverrides) => ReadonlyMap<string, string | null>,
    { validateOnly = false },
  ): Promise<void> {
    const known = this.overrides.get(groupId)
    const changed = new Map<string, string | null>([...Object.entries(known ?? {}), ...changesOf(known ?? {})])
    const value = Object.fromEntries([...changed].filter((each): each is [string, string] => each[1] !== null))
    try {
      checkGroupConfig(value, this.#config)
    } catch (error) {
      if (error instanceof ConfigError) throw new KafkaError('INVALID_CONFIG', error.message, { cause: error })
      throw error
    }
    if (!known && this.#store.configs.size >= CONFIGURED_GROUPS_MAX)
      throw new KafkaError('POLICY_VIOLATION', `${CONFIGURED_GROUPS_MAX} groups are configured already`)
    const isNothing = Object.keys(value).length === 0
    if (!validateOnly) await this.#store.change([{ kind: 'config', groupId, value: isNothing ? null : value }])
  }
}

export function classicLimits(config: CoordinatorConfig): GroupLimits {
  return {
    initialRebalanceDelayMs: config.groupInitialRebalanceDelayMs,
    sessionTimeoutMsMin: config.groupMinSessionTimeoutMs,
    sessionTimeoutMsMax: config.groupMaxSessionTimeoutMs,
    membersMax: config.groupMaxSize,
  }
}

export function consumerLimits(config: CoordinatorConfig, overrides: GroupOverrides = {}): ConsumerLimits {
  const { consumerSessionTimeoutMs, consumerHeartbeatIntervalMs } = groupConfigOf(overrides, config)
  return {
    sessionTimeoutMs: consumerSessionTimeoutMs,
    heartbeatIntervalMs: consumerHeartbeatIntervalMs,
    membersMax: config.groupConsumerMaxSize,
    assignors: config.groupConsumerAssignors,
    downgradedMembersMax: migrates(config, 'downgrade') ? config.groupMaxSize : 0,
  }
}

export function shareLimits(config: CoordinatorConfig, overrides: GroupOverrides = {}): ShareGroupLimits {
  const { shareSessionTimeoutMs, shareHeartbeatIntervalMs } = groupConfigOf(overrides, config)
  return {
    sessionTimeoutMs: shareSessionTimeoutMs,
    heartbeatIntervalMs: shareHeartbeatIntervalMs,
    membersMax: config.groupShareMaxSize,
  }
}

export function streamsLimits(config: CoordinatorConfig, overrides: GroupOverrides = {}): StreamsLimits {
  const { streamsSessionTimeoutMs, streamsHeartbeatIntervalMs } = groupConfigOf(overrides, config)
  return {
    sessionTimeoutMs: streamsSessionTimeoutMs,
    heartbeatIntervalMs: streamsHeartbeatIntervalMs,
    membersMax: config.groupStreamsMaxSize,
  }
}

export function shareConfig(config: CoordinatorConfig, overrides: GroupOverrides = {}): ShareConfig {
  const values = groupConfigOf(overrides, config)
  return {
    lockMs: values.shareRecordLockDurationMs,
    deliveriesMax: values.shareDeliveryCountLimit,
    recordLocksMax: values.sharePartitionMaxRecordLocks,
    start: shareStartIn(values.shareAutoOffsetReset)!,
    isCommitted: values.shareIsolationLevel === 'read_committed',
    mayRenew: values.shareRenewAcknowledgeEnable,
  }
}

/** How many members a classic group may have that becomes one of the next protocol. */
export function upgradedMembersMax(config: CoordinatorConfig): number {
  return migrates(config, 'upgrade') ? config.groupConsumerMaxSize : 0
}

function migrates({ groupConsumerMigrationPolicy: policy }: CoordinatorConfig, way: 'upgrade' | 'downgrade'): boolean {
  return policy === way || policy === 'bidirectional'
}
