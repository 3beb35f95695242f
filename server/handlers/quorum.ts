/**
 * DescribeQuorum 0-2: the metadata is a log of this relay's own, under the name that it has in Kafka. One voter, always
 * caught up.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import { NULL_UUID } from '../../protocol/lib/uuid.ts'
import { describeQuorum } from '../../protocol/messages/quorum.ts'
import { entry, type RequestContext } from '../handler.ts'
import { BROKER_ID } from '../services.ts'

const METADATA_TOPIC = '__cluster_metadata'
const LISTENER_NAME = 'PLAINTEXT'

export const describeQuorumHandler = entry(describeQuorum, 'each', (request, context) => {
  if (!context.allows('describe', { type: 'cluster' })) {
    const errorMessage = 'not allowed to describe the relay'
    return { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, errorMessage, topics: [], nodes: [] }
  }
  const topics = request.topics.map(({ topicName, partitions }) => ({
    topicName,
    partitions: partitions.map(({ partitionIndex }) =>
      topicName === METADATA_TOPIC && partitionIndex === 0 ? quorum(context) : unknown(partitionIndex),
    ),
  }))
  const listeners = [{ name: LISTENER_NAME, ...context.connection.advertised }]
  return { errorCode: ErrorCode.NONE, errorMessage: null, topics, nodes: [{ nodeId: BROKER_ID, listeners }] }
})

function quorum({ services }: RequestContext) {
  const { leaderEpoch, highWatermark } = services.engine.metadataPosition
  const self = {
    replicaId: BROKER_ID,
    replicaDirectoryId: NULL_UUID,
    logEndOffset: highWatermark,
    lastCaughtUpTimestamp: services.clock.now(),
  }
  return {
    ...{ partitionIndex: 0, errorCode: ErrorCode.NONE, errorMessage: null },
    ...{ leaderId: BROKER_ID, leaderEpoch, highWatermark, currentVoters: [self], observers: [] },
  }
}

function unknown(partitionIndex: number) {
  return {
    partitionIndex,
    errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    errorMessage: `the only quorum is that of ${METADATA_TOPIC}-0`,
    ...{ leaderId: -1, leaderEpoch: -1, highWatermark: -1, currentVoters: [], observers: [] },
  }
}
