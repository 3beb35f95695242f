/** Who is in the cluster, and who writes to its partitions. */
import { kafkaFailure } from '../kafka-failure.ts'
import { type AdminCall, byTopic, throwFailures } from './calls.ts'

export interface ClusterDescription {
  clusterId: string
  controllerId: number
  brokers: Array<{ brokerId: number; host: string; port: number; rack: string | null }>
}

export interface ProducerState {
  topic: string
  partition: number
  producerId: number
  producerEpoch: number
  /** -1: none. */
  lastSequence: number
  lastTimestamp: number
}

export async function describeProducers(
  call: AdminCall,
  partitions: ReadonlyArray<{ topic: string; partition: number }>,
): Promise<ProducerState[]> {
  const answer = await call('DescribeProducers', {
    topics: [...byTopic(partitions)].map(([name, group]) => ({
      name,
      partitionIndexes: group.map(({ partition }) => partition),
    })),
  })
  const all = answer.topics.flatMap(({ name, partitions: each }) => each.map((state) => ({ name, ...state })))
  throwFailures(
    all
      .filter(({ errorCode }) => errorCode !== 0)
      .map(({ name, partitionIndex, errorCode, errorMessage }) =>
        kafkaFailure(errorCode, `describing producers of ${name}-${partitionIndex}`, errorMessage),
      ),
  )
  return all.flatMap(({ name, partitionIndex, activeProducers }) =>
    activeProducers.map(({ producerId, producerEpoch, lastSequence, lastTimestamp }) => ({
      topic: name,
      partition: partitionIndex,
      producerId,
      producerEpoch,
      lastSequence,
      lastTimestamp,
    })),
  )
}

export async function describeCluster(call: AdminCall): Promise<ClusterDescription> {
  const answer = await call('DescribeCluster', { includeClusterAuthorizedOperations: false })
  if (answer.errorCode !== 0) throw kafkaFailure(answer.errorCode, 'describing the cluster', answer.errorMessage)
  const { clusterId, controllerId, brokers } = answer
  return {
    clusterId,
    controllerId,
    brokers: brokers.map(({ brokerId, host, port, rack }) => ({ brokerId, host, port, rack })),
  }
}
