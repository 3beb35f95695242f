/**
 * What a field of a name may sensibly hold: constants that reach into the handlers, and ids that a relay has given out,
 * learned from its answers. Values are kept as their bytes on the wire.
 */
import { Writer } from '../../protocol/bytes/writer.ts'
import type { Draw } from './draw.ts'
import { numberBytes } from './integers.ts'
import { type Node, nodesIn } from './wire-tree.ts'

const LEARNED_MAX = 32

/** Fields that name the same kind of thing. */
const SAME: Readonly<Record<string, string>> = {
  topic: 'name',
  topics: 'name',
  topicName: 'name',
  topicNames: 'name',
  subscribedTopicNames: 'name',
  resourceName: 'name',
  resourceNameFilter: 'name',
  topicIds: 'topicId',
  key: 'groupId',
  coordinatorKeys: 'groupId',
  groups: 'groupId',
  groupsNames: 'groupId',
  groupIds: 'groupId',
  partition: 'partitionIndex',
  partitions: 'partitionIndex',
  index: 'partitionIndex',
  partitionIndexes: 'partitionIndex',
  fetchOffset: 'offset',
  committedOffset: 'offset',
  startOffset: 'offset',
  endOffset: 'offset',
  baseOffset: 'offset',
  logStartOffset: 'offset',
  highWatermark: 'offset',
  currentLeaderEpoch: 'leaderEpoch',
  committedLeaderEpoch: 'leaderEpoch',
  v3AndBelowTransactionalId: 'transactionalId',
  v3AndBelowProducerId: 'producerId',
  v3AndBelowProducerEpoch: 'producerEpoch',
  memberEpoch: 'generationId',
  generationIdOrMemberEpoch: 'generationId',
}

const NUMBERS: Readonly<Record<string, readonly number[]>> = {
  acks: [-1, 0, 1, 2],
  apiVersion: [0, 1, 2, 3],
  configOperation: [0, 1, 2, 3],
  configSource: [1, 2, 5],
  configType: [1, 2, 3],
  count: [1, 2, 3],
  errorCode: [-1, 0, 1, 2, 3, 5, 6, 7, 10, 29, 35, 42, 45, 46, 47, 56, 58, 59, 74, 75, 87, 89, 90, 100, 999],
  generationId: [-2, -1, 0, 1, 2],
  isolationLevel: [0, 1, 2],
  keyType: [0, 1, 2],
  matchType: [0, 1, 2],
  maxBytes: [0, 1000, 1_000_000],
  maxWaitMs: [0, 0, 0, 20],
  minBytes: [0, 1, 1000],
  numPartitions: [-1, 1, 2],
  offset: [-2, -1, 0, 1, 5, 100],
  operation: [0, 1, 2, 3, 8, 9, 12],
  partitionIndex: [0, 0, 0, 1, 2, -1],
  partitionMaxBytes: [0, 1000, 1_000_000],
  permissionType: [0, 1, 2, 3],
  producerEpoch: [-1, 0, 1],
  producerId: [-1, 0, 1],
  rebalanceTimeoutMs: [100, 1000],
  replicationFactor: [-1, 1, 3],
  resourcePatternType: [1, 2, 3, 4],
  resourceType: [0, 2, 3, 4, 8, 16],
  resourceTypeFilter: [1, 2, 3],
  sessionEpoch: [-1, 0, 1],
  sessionTimeoutMs: [6000, 10_000],
  timeoutMs: [0, 100, 1000],
  timestamp: [-1, -2, -3, -4, -5, -6, 0, 1_700_000_000_000],
  transactionTimeoutMs: [1000, 60_000],
}

const TEXTS: Readonly<Record<string, readonly string[]>> = {
  assignmentStrategy: ['uniform', 'range'],
  authBytes: [
    '\0alice\0secret',
    'alice\0alice\0secret',
    'n,,n=alice,r=abcdef',
    'n,a=bob,n=b=2Cb,r=x',
    'c=biws,r=abcdef,p=AAAA',
  ],
  clientSoftwareName: ['fuzz', 'ottla-fuzz', 'apache-kafka-java'],
  clientSoftwareVersion: ['1', '4.3.1'],
  entityType: ['user', 'client-id', 'ip'],
  groupId: ['g1', 'g2', 'g3'],
  groupInstanceId: ['static-1', 'static-2'],
  host: ['*', '127.0.0.1'],
  memberId: [''],
  mechanism: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER', 'GSSAPI'],
  principal: ['User:a', 'User:*', 'a'],
  protocolName: ['range', 'roundrobin', 'cooperative-sticky'],
  protocolType: ['consumer', 'connect', ''],
  serverAssignor: ['uniform', 'range'],
  statesFilter: ['Stable', 'Empty', 'stable', 'Dead'],
  subscribedTopicRegex: ['t.*', '^(a+)+$', '[', 'u|v'],
  transactionalId: ['x1', 'x2'],
  typesFilter: ['classic', 'consumer', 'share'],
  configurationKeys: ['retention.ms', 'cleanup.policy', 'nothing'],
  value: ['1000', '-1', 'compact', 'delete', 'true', 'x', ''],
}

/** Names that break what is built of names. */
export const AWKWARD_TEXTS: readonly string[] = [
  '',
  '.',
  '..',
  '../../x',
  'a/b',
  'a\0b',
  '__proto__',
  'constructor',
  'toString',
  'length',
  '__consumer_offsets',
  '__cluster_metadata',
  'n'.repeat(249),
  'n'.repeat(250),
  'n'.repeat(32_767),
  '\u202egnp.exe',
  'größe-ß-😀',
  'a'.repeat(5000),
  'retention.ms',
  'cleanup.policy',
  '[object Object]',
  '%s%n{{x}}',
  '\r\nevent=forged level=error',
]

/** Given out by a relay. Whatever else its answers hold, they have only from the requests. */
const LEARNED = new Set([
  ...['clusterId', 'generationId', 'leaderEpoch', 'memberEpoch', 'memberId', 'offset'],
  ...['producerEpoch', 'producerId', 'protocolName', 'sessionId', 'transactionalId'],
])

const utf8 = Writer.encodeUtf8

export class KnownValues {
  /** Newest last. */
  readonly #values = new Map<string, Uint8Array[]>()

  /** Topics that were made anew take the place of those there were. */
  setTopics(topics: ReadonlyArray<{ name: string; id: Uint8Array }>): void {
    this.#values.set(
      'name',
      topics.map(({ name }) => utf8(name)),
    )
    this.#values.set(
      'topicId',
      topics.map(({ id }) => id),
    )
  }

  learn(answer: Node): void {
    for (const node of nodesIn(answer)) {
      const key = canonical(node.name)
      if (!LEARNED.has(key) || node.kind === 'array' || node.kind === 'struct') continue
      const bytes = 'bytes' in node ? node.bytes : node.content
      if (bytes && bytes.length < 300) this.#note(key, bytes)
    }
  }

  latest(name: string, sizeBytes: number | 'text'): Uint8Array | undefined {
    return this.#fitting(canonical(name), sizeBytes).at(-1)
  }

  /** Something that this field may hold, of the right size; undefined when nothing is known. One draw, known or not. */
  pick(name: string, sizeBytes: number | 'text', draw: Draw): Uint8Array | undefined {
    const chosen = draw.random.next()
    const key = canonical(name)
    const all = [...this.#fitting(key, sizeBytes), ...constantsOf(key, sizeBytes)]
    return all[Math.floor(chosen * all.length)]
  }

  #fitting(key: string, sizeBytes: number | 'text'): Uint8Array[] {
    return (this.#values.get(key) ?? []).filter((each) => sizeBytes === 'text' || each.length === sizeBytes)
  }

  #note(key: string, bytes: Uint8Array): void {
    const known = (this.#values.get(key) ?? []).filter((each) => Buffer.compare(each, bytes) !== 0)
    this.#values.set(key, [...known.slice(-LEARNED_MAX), bytes.slice()])
  }
}

const canonical = (name: string) => SAME[name] ?? name

function constantsOf(key: string, sizeBytes: number | 'text'): Uint8Array[] {
  if (sizeBytes === 'text') return (TEXTS[key] ?? []).map(utf8)
  return (NUMBERS[key] ?? []).map((value) => numberBytes(value, sizeBytes))
}
