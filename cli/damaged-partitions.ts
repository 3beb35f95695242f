/** Partitions whose log is damaged: where it ends cannot be told, and who reads them waits until they are repaired. */
import type { Ottla, OttlaError } from '../client/node.ts'
import { ErrorCode } from '../protocol/errors.ts'

export const isDamaged = (error: Pick<OttlaError, 'kafkaCode'> | undefined) =>
  error?.kafkaCode === ErrorCode.KAFKA_STORAGE_ERROR

/** Of those named; default: of all that the topic has. */
export async function damagedPartitions(
  { admin }: Ottla,
  topic: string,
  named: readonly number[] | undefined,
): Promise<number[]> {
  const [description] = await admin.describeTopics([topic])
  const partitions = named ?? description?.partitions.map(({ partition }) => partition) ?? []
  const queries = partitions.map((partition) => ({ topic, partition, spec: 'latest' as const }))
  const listed = await admin.listOffsets(queries).settled()
  return listed.filter(({ error }) => isDamaged(error)).map(({ entry }) => entry.partition)
}
