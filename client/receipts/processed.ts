/** From a sent record to the promise that groups have handled it. */
import type { Core, TopicInfo } from '../core.ts'
import { groupError } from '../group/errors.ts'
import type { Receipt } from '../producer/receipt.ts'
import type { ProcessedOptions, ReceiptHub } from './receipt-hub.ts'

/**
 * Resolves when all of the groups have. The record is in the topic whose id was the same before it was sent and after it
 * was committed: ids are never used twice, so a topic that was made anew meanwhile is not mistaken for it.
 */
export async function processed(
  hub: ReceiptHub,
  core: Pick<Core, 'topic'>,
  sent: { topic: string; before: Promise<TopicInfo | undefined>; receipt: Receipt },
  groups: readonly string[],
  options: ProcessedOptions,
): Promise<void> {
  const { topic, receipt } = sent
  const before = await sent.before
  const { partition, offset } = await receipt.committed
  const after = await core.topic(topic).catch(() => undefined)
  if (!after || offset < 0 || before?.id !== after.id) {
    throw groupError('PROCESSING_UNKNOWN', { message: `it is not known where in ${topic} the record is` })
  }
  const waits = groups.map((group) => hub.processed({ group, topic, topicId: after.id, partition, offset }, options))
  await Promise.all(waits)
}
