/** All that Admin does, as one module: loaded at the first call, since most pages never administer anything. */
export { describeCluster, describeProducers } from './cluster.ts'
export { alterConfigs, describeConfigs } from './configs.ts'
export { deleteRecords, listOffsets } from './offsets.ts'
export { createPartitions, createTopics, deleteTopics, describeTopics } from './topics.ts'
