/** What a Kafka Streams application does, as its members tell it: which topics each part of it reads, writes and keeps. */
import { KafkaError } from '../../../protocol/errors.ts'
import { isTopicName } from '../../engine/topic-names.ts'

export interface InternalTopic {
  readonly name: string
  /** 0: follows from what is written to it, or from the tasks that keep it. */
  readonly partitions: number
  readonly configs: Readonly<Record<string, string>>
}

export interface Subtopology {
  readonly id: string
  readonly sources: readonly string[]
  readonly changelogs: readonly InternalTopic[]
  readonly repartitionSinks: readonly string[]
  readonly repartitionSources: readonly InternalTopic[]
  /** Topics that are read together, so they need as many partitions. */
  readonly copartitioned: ReadonlyArray<readonly string[]>
}

export interface Topology {
  readonly epoch: number
  readonly subtopologies: readonly Subtopology[]
}

const TOPOLOGY_BYTES_MAX = 1024 * 1024
const SUBTOPOLOGIES_MAX = 1000

/** Throws KafkaError STREAMS_INVALID_TOPOLOGY. */
export function checkTopology(topology: Topology): void {
  const { subtopologies } = topology
  if (subtopologies.length === 0) throw invalid('a topology has parts')
  if (subtopologies.length > SUBTOPOLOGIES_MAX) throw invalid(`a topology has ${SUBTOPOLOGIES_MAX} parts at most`)
  if (new Set(subtopologies.map(({ id }) => id)).size < subtopologies.length)
    throw invalid('two parts have the same id')
  if (sizeOfTopology(topology) > TOPOLOGY_BYTES_MAX) throw invalid('the topology is too large')
  for (const { id, sources, repartitionSources, repartitionSinks, changelogs } of subtopologies) {
    if (sources.length + repartitionSources.length === 0) throw invalid(`part ${id} reads nothing`)
    const named = [...sources, ...repartitionSinks, ...[...repartitionSources, ...changelogs].map(({ name }) => name)]
    const nameless = named.find((name) => !isTopicName(name))
    if (nameless !== undefined) throw invalid(`"${nameless.slice(0, 80)}" cannot be a topic's name`)
  }
}

const sizes = new WeakMap<Topology, number>()

/** About what it takes to keep it. Topologies never change, and are asked for it with every heartbeat. */
export function sizeOfTopology(topology: Topology): number {
  const known = sizes.get(topology)
  if (known !== undefined) return known
  const size = JSON.stringify(topology).length
  sizes.set(topology, size)
  return size
}

export const isSameTopology = (a: Topology, b: Topology): boolean => a === b || JSON.stringify(a) === JSON.stringify(b)

/** What one part reads, by name. */
export const inputsOf = ({ sources, repartitionSources }: Subtopology): string[] => [
  ...sources,
  ...repartitionSources.map(({ name }) => name),
]

export const invalid = (message: string) => new KafkaError('STREAMS_INVALID_TOPOLOGY', message)
