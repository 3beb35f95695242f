/**
 * ElectLeaders 0-2, AlterPartitionReassignments 0-1, ListPartitionReassignments 0. There is one broker: it leads every
 * partition already, and no partition can be anywhere else. Tools that tidy clusters learn that nothing is to be done.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import {
  alterPartitionReassignments,
  electLeaders,
  listPartitionReassignments,
} from '../../protocol/messages/replicas.ts'
import { entry, type RequestContext } from '../handler.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { BROKER_ID } from '../services.ts'
import { errorFields } from './error-fields.ts'

const ELECTION_TYPE_MAX = 1

export const electLeadersHandler = entry(electLeaders, 'each', ({ electionType, topicPartitions }, context) => {
  const nothing = { replicaElectionResults: [] }
  if (!context.allows('alter', { type: 'cluster' })) {
    // Version 0 has no word for the whole.
    const refused = { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, errorMessage: 'not allowed to elect leaders' }
    const replicaElectionResults = (topicPartitions ?? []).map(({ topic, partitions }) => ({
      ...{ topic, partitionResult: [...new Set(partitions)].map((partitionId) => ({ partitionId, ...refused })) },
    }))
    return { errorCode: refused.errorCode, replicaElectionResults }
  }
  if (electionType < 0 || electionType > ELECTION_TYPE_MAX) return { ...nothing, errorCode: ErrorCode.INVALID_REQUEST }
  // Asked for all, only those are named for which there was something to elect.
  if (topicPartitions === null) return { ...nothing, errorCode: ErrorCode.NONE }
  const replicaElectionResults = topicPartitions.map(({ topic, partitions }) => ({
    topic,
    partitionResult: [...new Set(partitions)].map((partitionId) => ({
      partitionId,
      ...elect(topic, partitionId, context),
    })),
  }))
  return { errorCode: ErrorCode.NONE, replicaElectionResults }
})

function elect(topic: string, partition: number, context: RequestContext) {
  return outcomeOf(() => {
    const log = partitionOf(topic, partition, context)
    if (log.state === 'offline') {
      const message = `the log of ${topic}-${partition} is offline, and there is no other`
      throw new KafkaError('ELIGIBLE_LEADERS_NOT_AVAILABLE', message)
    }
    throw new KafkaError('ELECTION_NOT_NEEDED', `broker ${BROKER_ID} leads ${topic}-${partition} already`)
  })
}

export const alterPartitionReassignmentsHandler = entry(alterPartitionReassignments, 'each', (request, context) => {
  const { allowReplicationFactorChange } = request
  if (!context.allows('alter', { type: 'cluster' })) {
    const errorMessage = 'not allowed to reassign partitions'
    return {
      allowReplicationFactorChange,
      errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
      errorMessage,
      responses: [],
    }
  }
  const responses = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex, replicas }) => ({
      partitionIndex,
      ...outcomeOf(() => checkReassignment(name, partitionIndex, replicas, context)),
    })),
  }))
  return { allowReplicationFactorChange, errorCode: ErrorCode.NONE, errorMessage: null, responses }
})

function checkReassignment(
  topic: string,
  partition: number,
  replicas: readonly number[] | null,
  context: RequestContext,
): void {
  partitionOf(topic, partition, context)
  if (replicas === null)
    throw new KafkaError('NO_REASSIGNMENT_IN_PROGRESS', `${topic}-${partition} is not being reassigned`)
  if (replicas.length === 1 && replicas[0] === BROKER_ID) return
  const message = `replicas ${replicas.join(', ') || 'none'}: there is one broker, ${BROKER_ID}`
  throw new KafkaError('INVALID_REPLICA_ASSIGNMENT', message)
}

export const listPartitionReassignmentsHandler = entry(listPartitionReassignments, 'each', (_request, context) =>
  context.allows('describe', { type: 'cluster' })
    ? { errorCode: ErrorCode.NONE, errorMessage: null, topics: [] }
    : {
        errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
        errorMessage: 'not allowed to describe the cluster',
        topics: [],
      },
)

function partitionOf(topic: string, partition: number, { services }: RequestContext): PartitionLog {
  const log = services.engine.topicByName(topic)?.partitions[partition]
  if (!log) throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `there is no partition ${partition} of ${topic}`)
  return log
}

function outcomeOf(run: () => void): { errorCode: number; errorMessage: string | null } {
  try {
    run()
    return { errorCode: ErrorCode.NONE, errorMessage: null }
  } catch (error) {
    return errorFields(error)
  }
}
