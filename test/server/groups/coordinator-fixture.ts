/** A coordinator on files in memory, with topics that the test names and time that it moves. */
import { ErrorCode, type KafkaError } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { relayConfigDefaults } from '../../../server/config.ts'
import type { TopicCatalog } from '../../../server/coordinator/consumer/topics.ts'
import {
  type CoordinatorConfig,
  type GroupCoordinator,
  type GroupCoordinatorOptions,
  type JoinRequest,
  openGroupCoordinator,
} from '../../../server/coordinator/runtime.ts'
import type { SharedLog } from '../../../server/coordinator/share/share-start.ts'
import { silentLogger } from '../../../server/logger.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { bytes } from './group-driver.ts'

export const GROUPS_DIR = '/data/groups'
export const MINUTE_MS = 60_000
export const DAY_MS = 1440 * MINUTE_MS

/** Names to ids; take one out to delete the topic. */
export type Topics = Map<string, string>

export interface CoordinatorFixture extends Partial<Omit<GroupCoordinatorOptions, 'config' | 'topics'>> {
  config?: Partial<CoordinatorConfig>
  topics?: Topics
  /** In place of `topics`, each of which has one partition. */
  catalog?: TopicCatalog
}

export function openCoordinator(fixture: CoordinatorFixture = {}): Promise<GroupCoordinator> {
  const topics = fixture.topics ?? new Map([['t', 'T']])
  return openGroupCoordinator({
    files: new MemoryFiles(),
    dir: GROUPS_DIR,
    clock: new HandClock(),
    random: seededRandom(1),
    logger: silentLogger,
    ...fixture,
    config: { ...relayConfigDefaults, groupInitialRebalanceDelayMs: 0, ...fixture.config },
    topics: fixture.catalog ?? {
      topicsVersion: 0,
      topics: () => [...topics].map(([name, id]) => topicOf(name, id)),
      topicByName: (name) => (topics.has(name) ? topicOf(name, topics.get(name)!) : undefined),
      topicById: (id) => [...topics].map(([name, each]) => topicOf(name, each)).find((topic) => topic.id === id),
    },
  })
}

/** A log of which only the ends are known. */
export const logFrom = (startOffset: number, highWatermark = startOffset): SharedLog => ({
  ...{ startOffset, highWatermark, leaderEpoch: 0, state: 'online' },
  offsetForTimestamp: async () => undefined,
})

const topicOf = (name: string, id: string) => ({ name, id, partitions: { length: 1 } })

/** Of a consumer that reads these topics. */
export function subscription(...topics: readonly string[]): Uint8Array {
  const names = topics.flatMap((topic) => [0, topic.length, ...bytes(topic)])
  return Uint8Array.from([0, 0, 0, 0, 0, topics.length, ...names, 0xff, 0xff, 0xff, 0xff])
}

export const stays = () => () => {}

export function joinRequest(options: Partial<JoinRequest> = {}): JoinRequest {
  return {
    memberId: '',
    groupInstanceId: null,
    clientId: 'client',
    clientHost: '/127.0.0.1',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: subscription('t') }],
    mustKnowItsId: false,
    canSkipAssignment: false,
    ...options,
  }
}

/** A group of one member with an assignment. */
export async function groupOfOne(coordinator: GroupCoordinator, groupId = 'g', options: Partial<JoinRequest> = {}) {
  const { memberId, generationId } = await coordinator.join(groupId, joinRequest(options), stays)
  const groupInstanceId = options.groupInstanceId ?? null
  const claim = { memberId, generationId, groupInstanceId }
  const assignments = [{ memberId, assignment: bytes('all') }]
  await coordinator.sync(groupId, { ...claim, protocolType: null, protocolName: null, assignments }, stays)
  return claim
}

export const NOBODY = { memberId: '', generationId: -1, groupInstanceId: null }

export const offsetOf = (partition: number, offset: number, topicId = 'T', metadata = '') => ({
  ...{ topicId, partition, offset, metadata },
  leaderEpoch: 3,
  expiresAtMs: null,
})

/** What is committed, as `topic/partition` to offset. */
export async function committed(coordinator: GroupCoordinator, groupId = 'g'): Promise<Record<string, number>> {
  const found = await coordinator.fetchOffsets(groupId, 'all')
  return Object.fromEntries(found.map((at) => [`${at.topicId}/${at.partition}`, at.committed!.offset]))
}

/** The name of the error that something ends with. */
export async function codeOf(action: () => unknown): Promise<number> {
  try {
    await action()
    return ErrorCode.NONE
  } catch (error) {
    return (error as KafkaError).code
  }
}
