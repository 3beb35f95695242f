/** DescribeLogDirs 1-5: the relay's data folder, and how much of it each partition takes. */
import { resolve } from 'node:path'
import { ErrorCode } from '../../protocol/errors.ts'
import { describeLogDirs } from '../../protocol/messages/replicas.ts'
import type { Topic } from '../engine.ts'
import { entry, type RequestContext } from '../handler.ts'
import { asKafkaError } from './error-fields.ts'

type Asked = ReadonlyArray<{ topic: string; partitions: readonly number[] }> | null

/** Kafka's word for a size that is not known. */
const UNKNOWN_BYTES = -1

export const describeLogDirsHandler = entry(describeLogDirs, 'each', async (request, context) => {
  if (!context.allows('describe', { type: 'cluster' }))
    return { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, results: [] }
  const topics = sizes(request.topics, context)
  try {
    const { dir, freeBytes } = await context.services.engine.storage()
    const folder = { errorCode: ErrorCode.NONE, logDir: resolve(dir), usableBytes: freeBytes }
    return { errorCode: ErrorCode.NONE, results: [{ ...folder, totalBytes: UNKNOWN_BYTES, topics }] }
  } catch (error) {
    const { code: errorCode } = asKafkaError(error)
    const folder = { errorCode, logDir: resolve(context.services.config.dataDir) }
    return { errorCode: ErrorCode.NONE, results: [{ ...folder, topics: [] }] }
  }
})

/** Topics and partitions that are not there are left out, as Kafka does. */
function sizes(asked: Asked, { services }: RequestContext) {
  const { engine } = services
  if (asked === null) return [...engine.topics()].map((topic) => describe(topic, topic.partitions.keys()))
  const indexesByName = new Map<string, Set<number>>()
  for (const { topic, partitions } of asked) {
    const indexes = indexesByName.get(topic) ?? new Set<number>()
    for (const index of partitions) indexes.add(index)
    indexesByName.set(topic, indexes)
  }
  return [...indexesByName].flatMap(([name, indexes]) => {
    const topic = engine.topicByName(name)
    return topic ? [describe(topic, indexes)] : []
  })
}

function describe(topic: Topic, indexes: Iterable<number>) {
  const partitions = [...indexes].flatMap((partitionIndex) => {
    const log = topic.partitions[partitionIndex]
    if (!log) return []
    const offsetLag = Math.max(0, log.endOffset - log.highWatermark)
    return [{ partitionIndex, partitionSize: log.sizeBytes, offsetLag, isFutureKey: false }]
  })
  return { name: topic.name, partitions }
}
