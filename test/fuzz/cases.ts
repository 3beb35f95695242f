/**
 * Cases of hostile requests, by number: each is one request or a session of several, from what clients have sent or made
 * from the descriptions, and changed in one to four places, or in none. A case is the same each time it is made, but for
 * the ids that the relay under test has given out.
 */
import type { AnyApi, RequestOf } from '../../protocol/api.ts'
import { Reader } from '../../protocol/bytes/reader.ts'
import { saslAuthenticate, saslHandshake } from '../../protocol/messages/sasl.ts'
import { streamsGroupHeartbeat } from '../../protocol/messages/streams-groups.ts'
import { createPartitions, createTopics } from '../../protocol/messages/topics.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
import { Draw } from './draw.ts'
import { generateRequest } from './generate.ts'
import { edgeOf } from './integers.ts'
import type { KnownValues } from './known-values.ts'
import { mutateBytes, mutateTree } from './mutations.ts'
import { placeholderId, TOPIC_NAMES } from './recorded-requests.ts'
import { APIS, type RequestTree, readRequest, versionsOf, writeRequest } from './request-tree.ts'
import { type Node, nodesIn } from './wire-tree.ts'
import { DOORS, type Door } from './wires.ts'

export interface FuzzCase {
  index: number
  door: Door
  /** Sent without having signed in. */
  isStranger: boolean
  /** The next request waits for the answer to the one before. */
  waitsForAnswers: boolean
  /** Built when its turn has come: `own` is what the answers to the steps before it have said. */
  steps: ReadonlyArray<(own: KnownValues) => Uint8Array>
  /** Bytes to be sent as they are before the steps, instead of a framed request. */
  raw: Uint8Array | undefined
}

export interface CaseSources {
  seed: number
  known: KnownValues
  sessions: ReadonlyArray<readonly Uint8Array[]>
  /** Ids of TOPIC_NAMES on the relay under test, now. */
  topicIds: () => readonly Uint8Array[]
}

const SESSION_STEPS_MAX = 12
/** Members that left without a word keep a group waiting, so there are several. */
const GROUPS = 64
/** Every API in every version, so that none is left to chance. */
const ALL: ReadonlyArray<[AnyApi, number]> = APIS.flatMap((api) =>
  versionsOf(api).map((version): [AnyApi, number] => [api, version]),
)
/** Anything else ends a stranger's connection at once. */
const FOR_STRANGERS = ALL.filter(([{ key }]) =>
  [apiVersions.key, saslHandshake.key, saslAuthenticate.key].includes(key),
)
export const VERSIONS_COUNT = ALL.length

export function makeCase(index: number, sources: CaseSources): FuzzCase {
  const draw = Draw.forCase(sources.seed, index)
  const door = DOORS[index % 2]!
  const kind = draw.below(20)
  const isStranger = draw.chance(0.25)
  const base = { index, door, isStranger, waitsForAnswers: draw.chance(0.5), raw: undefined }
  if (kind === 0) return { ...base, steps: [], raw: badFraming(draw, door) }
  if (kind < 6) return { ...base, steps: sessionSteps(draw, sources) }
  const [api, version] =
    isStranger && draw.chance(0.8) ? draw.from(FOR_STRANGERS) : ALL[Math.floor(index / 2) % ALL.length]!
  const tree =
    kind < 12 && !isStranger
      ? readRequest(draw.from(draw.from(sources.sessions)))
      : generateRequest(api, version, { draw, known: sources.known })
  const isMutated = kind < 18
  return { ...base, steps: [(own) => finished(tree, isMutated, draw, { ...sources, own })] }
}

type StepSources = CaseSources & { own: KnownValues }

/** A part of what a client sent on one connection, in its order. */
function sessionSteps(draw: Draw, sources: CaseSources): FuzzCase['steps'] {
  const frames = draw.from(sources.sessions)
  const from = draw.chance(0.5) ? 0 : draw.below(frames.length)
  const group = Buffer.from(`g${draw.below(GROUPS)}`)
  return frames.slice(from, from + 1 + draw.below(SESSION_STEPS_MAX)).map((frame) => {
    const isMutated = draw.chance(0.25)
    return (own) => {
      const tree = readRequest(frame)
      for (const node of nodesIn(tree.body)) if (node.name === 'groupId' && node.kind === 'string') node.content = group
      return finished(tree, isMutated, draw, { ...sources, own })
    }
  })
}

function finished(tree: RequestTree, isMutated: boolean, draw: Draw, sources: StepSources): Uint8Array {
  bindIds(tree.body, draw, sources)
  if (!isMutated) return modest(writeRequest(tree))
  const from = { draw, known: sources.known, other: () => otherBody(draw, sources) }
  for (let count = 1 + draw.few(3); count > 0; count--) mutateTree(tree.body, from)
  if (draw.chance(0.05)) mutateTree(tree.header, from)
  const bytes = writeRequest(tree)
  return modest(draw.chance(0.15) ? mutateBytes(bytes, draw) : bytes)
}

function otherBody(draw: Draw, { sessions, known }: CaseSources): Node {
  if (draw.chance(0.5)) return readRequest(draw.from(draw.from(sessions))).body
  const [api, version] = draw.from(ALL)
  return generateRequest(api, version, { draw, known }).body
}

/** Given out by the relay of the recording; the one under test has given out others. */
const BOUND = new Set([
  'memberId',
  'generationId',
  'memberEpoch',
  'producerId',
  'producerEpoch',
  'sessionId',
  'generationIdOrMemberEpoch',
])

function bindIds(body: Node, draw: Draw, { own, known, topicIds }: StepSources): void {
  const idFor = (name: string, sizeBytes: number | 'text') => {
    const picked = known.pick(name, sizeBytes, draw)
    return draw.chance(0.8) ? (own.latest(name, sizeBytes) ?? picked) : picked
  }
  for (const node of nodesIn(body)) {
    if (node.kind === 'uuid') {
      const topic = TOPIC_NAMES.findIndex((_, index) => Buffer.compare(placeholderId(index), node.bytes) === 0)
      if (topic >= 0) node.bytes = topicIds()[topic]!.slice()
    } else if (BOUND.has(node.name)) {
      if ('bytes' in node) node.bytes = idFor(node.name, node.bytes.length)?.slice() ?? node.bytes
      else if (node.kind === 'string' && node.content?.length) node.content = idFor(node.name, 'text')?.slice() ?? null
    }
  }
}

const PARTITIONS_MAX = 50

/** Legal, slow on purpose, and not what this is about: thousands of partitions. */
function modest(bytes: Uint8Array): Uint8Array {
  return partitionsMade(bytes) > PARTITIONS_MAX ? bytes.slice(0, 8) : bytes
}

function partitionsMade(bytes: Uint8Array): number {
  const reader = new Reader(bytes)
  try {
    const [key, version] = [reader.int16(), reader.int16()]
    if (key !== createTopics.key && key !== createPartitions.key && key !== streamsGroupHeartbeat.key) return 0
    reader.skip(4)
    reader.skip(Math.max(0, reader.int16()))
    if (key === streamsGroupHeartbeat.key) {
      reader.skip(1)
      return partitionsOfTopology(streamsGroupHeartbeat.request.read(reader, version))
    }
    const api = key === createTopics.key ? createTopics : createPartitions
    if (version >= api.flexibleFrom) reader.skip(1)
    const body = api.request.read(reader, version)
    if (body.validateOnly) return 0
    const counts = body.topics.map((topic) =>
      'count' in topic ? topic.count : Math.max(1, topic.numPartitions, topic.assignments.length),
    )
    return counts.reduce((sum, count) => sum + Math.max(0, count), 0)
  } catch {
    return 0
  }
}

function partitionsOfTopology({ topology }: RequestOf<typeof streamsGroupHeartbeat>): number {
  const topics = (topology?.subtopologies ?? []).flatMap((part) => [
    ...part.repartitionSourceTopics,
    ...part.stateChangelogTopics,
  ])
  const most = Math.max(1, ...topics.map(({ partitions }) => partitions))
  // Other heartbeats of the group make what this one left to be made.
  return topics.length * most * 8
}

/** Sizes, opcodes and lengths of the door's own framing. */
function badFraming(draw: Draw, door: Door): Uint8Array {
  const garbage = draw.random.bytes(draw.few(300))
  if (draw.chance(0.2)) return garbage
  const head =
    door === 'kafka'
      ? edgeOf(4, draw)
      : Uint8Array.of(draw.from([0x82, 0x02, 0x80, 0x81, 0x88, 0x89, 0xf2, draw.below(256)]), draw.below(256))
  return Buffer.concat([head, door === 'websocket' ? edgeOf(draw.from([0, 2, 8]), draw) : Buffer.alloc(0), garbage])
}
