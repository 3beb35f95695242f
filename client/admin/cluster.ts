/** Who is in the cluster, and what it can do. */
import { errorName } from '../../protocol/errors.ts'
import { CLIENT_SOFTWARE_NAME, CLIENT_SOFTWARE_VERSION } from '../handshake.ts'
import { type AdminDriver, type AdminOptions, verdict } from './driver.ts'

export interface Broker {
  brokerId: number
  host: string
  port: number
  rack: string | null
}

export interface ClusterDescription {
  clusterId: string
  controllerId: number
  brokers: Broker[]
}

export function describeCluster(driver: AdminDriver, options: AdminOptions = {}): Promise<ClusterDescription> {
  return driver.run(options).one('any', 'describing the cluster', async (ask) => {
    const answer = await ask('DescribeCluster', { includeClusterAuthorizedOperations: false })
    return verdict(answer, ({ clusterId, controllerId, brokers }) => ({
      ...{ clusterId, controllerId },
      brokers: brokers.map(({ brokerId, host, port, rack }) => ({ brokerId, host, port, rack })),
    }))
  })
}

export interface FeatureVersions {
  min: number
  max: number
}

export interface Features {
  /** What the cluster has agreed to use, by name. */
  finalized: Record<string, FeatureVersions>
  /** -1: not told. */
  finalizedEpoch: number
  /** What the broker that was asked could do. */
  supported: Record<string, FeatureVersions>
}

export function describeFeatures(driver: AdminDriver, options: AdminOptions = {}): Promise<Features> {
  return driver.run(options).one('any', 'describing the features', async (ask) => {
    const software = { clientSoftwareName: CLIENT_SOFTWARE_NAME, clientSoftwareVersion: CLIENT_SOFTWARE_VERSION }
    return verdict(await ask('ApiVersions', software), (answer) => ({
      finalized: Object.fromEntries(
        answer.finalizedFeatures.map(({ name, minVersionLevel: min, maxVersionLevel: max }) => [name, { min, max }]),
      ),
      finalizedEpoch: answer.finalizedFeaturesEpoch,
      supported: Object.fromEntries(
        answer.supportedFeatures.map(({ name, minVersion: min, maxVersion: max }) => [name, { min, max }]),
      ),
    }))
  })
}

export interface QuorumReplica {
  replicaId: number
  logEndOffset: number
  /** -1: not told. */
  lastFetchTimestamp: number
  lastCaughtUpTimestamp: number
}

export interface QuorumDescription {
  leaderId: number
  leaderEpoch: number
  highWatermark: number
  voters: QuorumReplica[]
  observers: QuorumReplica[]
}

const METADATA_LOG = '__cluster_metadata'

/** Who keeps the cluster's metadata: of a relay, the relay. */
export function describeMetadataQuorum(driver: AdminDriver, options: AdminOptions = {}): Promise<QuorumDescription> {
  return driver.run(options).one('any', 'describing the metadata quorum', async (ask) => {
    const topics = [{ topicName: METADATA_LOG, partitions: [{ partitionIndex: 0 }] }]
    const answer = await ask('DescribeQuorum', { topics })
    const partition = answer.topics[0]?.partitions[0]
    if (answer.errorCode !== 0 || !partition)
      return { errorCode: answer.errorCode || -1, errorMessage: answer.errorMessage ?? errorName(answer.errorCode) }
    return verdict(partition, ({ leaderId, leaderEpoch, highWatermark, currentVoters, observers }) => ({
      ...{ leaderId, leaderEpoch, highWatermark },
      ...{ voters: currentVoters.map(quorumReplica), observers: observers.map(quorumReplica) },
    }))
  })
}

const quorumReplica = ({ replicaId, logEndOffset, lastFetchTimestamp, lastCaughtUpTimestamp }: QuorumReplica) => ({
  ...{ replicaId, logEndOffset, lastFetchTimestamp, lastCaughtUpTimestamp },
})
