/** Where brokers keep their logs, and how much room these take. */

import type { ErrorInfo } from '../errors.ts'
import { type AdminDriver, type AdminOptions, verdict } from './driver.ts'
import { adminFailure } from './outcomes.ts'
import { byTopic, type TopicPartition } from './topic-partitions.ts'

export interface LogDirPartition extends TopicPartition {
  sizeBytes: number
  /** How far this copy is behind the log's end. */
  offsetLag: number
  /** A copy that is being moved here. */
  isFuture: boolean
}

export interface LogDir {
  path: string
  /** Why it cannot be used; null when it can. */
  error: ErrorInfo | null
  /** Of the volume; -1: not told. */
  totalBytes: number
  usableBytes: number
  partitions: LogDirPartition[]
}

export interface BrokerLogDirs {
  brokerId: number
  dirs: LogDir[]
}

export interface DescribeLogDirsOptions extends AdminOptions {
  /** Default: all. */
  brokers?: readonly number[]
  /** Default: all. */
  partitions?: readonly TopicPartition[]
}

export function describeLogDirs(driver: AdminDriver, options: DescribeLogDirsOptions = {}): Promise<BrokerLogDirs[]> {
  const { brokers, partitions } = options
  const topics = partitions
    ? [...byTopic(partitions)].map(([topic, group]) => ({ topic, partitions: group.map(({ partition }) => partition) }))
    : null
  const describe = driver.run(options)
  return describe.everyBroker(
    'describing the log folders',
    async (ask, brokerId) => {
      const answer = await ask('DescribeLogDirs', { topics })
      return verdict(answer, ({ results }) => ({ brokerId, dirs: results.map(folder) }))
    },
    brokers,
  )
}

interface Folder {
  errorCode: number
  logDir: string
  totalBytes: number
  usableBytes: number
  topics: ReadonlyArray<{
    name: string
    partitions: ReadonlyArray<{
      partitionIndex: number
      partitionSize: number
      offsetLag: number
      isFutureKey: boolean
    }>
  }>
}

function folder({ errorCode, logDir, totalBytes, usableBytes, topics }: Folder): LogDir {
  return {
    path: logDir,
    error: errorCode === 0 ? null : adminFailure(errorCode, `reading ${logDir}`).toInfo(),
    totalBytes,
    usableBytes,
    partitions: topics.flatMap(({ name, partitions }) =>
      partitions.map(({ partitionIndex, partitionSize, offsetLag, isFutureKey }) => ({
        ...{ topic: name, partition: partitionIndex },
        ...{ sizeBytes: partitionSize, offsetLag, isFuture: isFutureKey },
      })),
    ),
  }
}

export interface ReplicaLogDir extends TopicPartition {
  brokerId: number
  path: string
  sizeBytes: number
  offsetLag: number
}

/** In which folder of each broker the copies of these partitions lie. */
export async function describeReplicaLogDirs(
  driver: AdminDriver,
  partitions: readonly TopicPartition[],
  options: Omit<DescribeLogDirsOptions, 'partitions'> = {},
): Promise<ReplicaLogDir[]> {
  const brokers = await describeLogDirs(driver, { ...options, partitions })
  return brokers.flatMap(({ brokerId, dirs }) =>
    dirs.flatMap(({ path, partitions: held }) =>
      held.map(({ topic, partition, sizeBytes, offsetLag }) => ({
        ...{ topic, partition, brokerId },
        ...{ path, sizeBytes, offsetLag },
      })),
    ),
  )
}
