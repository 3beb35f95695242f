/**
 * After the coordinator's log has been read: what other logs know of transactions, and it does not.
 *
 * A write that begins or extends a transaction goes to the partition's log and the coordinator's at once, and a power cut
 * may keep only the first. Its producer would send it again, and be told that it is there; so it has to count. The batch
 * names the producer and the epoch by which it was admitted: where those are still the current ones the partition joins
 * the transaction now. The same holds for offsets that were handed in.
 *
 * What belongs to nobody comes from data that was lost or put back by hand. Records are left alone, since only a person
 * can know (`kafka-transactions.sh find-hanging`, `abort`), and said so. Offsets are dropped: they hold up every reader
 * of the group, and without them it reads again from its last commit.
 */
import { ErrorCode, KafkaError } from '../../../protocol/errors.ts'
import type { Topic } from '../../engine.ts'
import type { Logger } from '../../logger.ts'
import type { Instant } from '../group-state.ts'
import type { GroupCoordinator } from '../runtime.ts'
import type { ProducerIdentity } from '../transactional-offsets.ts'
import { isSame } from './transaction-state.ts'
import type { HeldProducer, TransactionStore } from './transaction-store.ts'

export interface AdoptionOptions {
  store: TransactionStore
  topics: { topics(): Iterable<Topic> }
  groups: Pick<GroupCoordinator, 'pendingTransactions' | 'decideTransaction'>
  logger: Logger
}

/** Returns whose state has changed by it. */
export function adopt({ store, topics, groups, logger }: AdoptionOptions, at: Instant): Set<HeldProducer> {
  const changed = new Set<HeldProducer>()
  const isOurs = (identity: ProducerIdentity, parts: Parts) => {
    const held = store.byProducerId(identity.producerId)
    const found = held && claim(held, identity, parts, at)
    if (found === 'joined') changed.add(held!)
    return found !== undefined
  }
  for (const { id: topicId, name: topic, partitions } of topics.topics()) {
    for (const [partition, log] of partitions.entries()) {
      for (const { firstOffset, sinceMs: _, ...identity } of log.openTransactions()) {
        if (isOurs(identity, { partitions: [{ topicId, partition }] })) continue
        const remedy = 'it holds back readers of committed records; kafka-transactions.sh abort ends it'
        logger.warn('transaction of nobody', { topic, partition, firstOffset, ...identity, remedy })
      }
    }
  }
  for (const { groupId, ...identity } of pendingIn(groups, logger)) {
    if (isOurs(identity, { groups: [groupId] })) continue
    logger.warn('offsets of nobody are dropped', { groupId, ...identity })
    groups.decideTransaction([groupId], identity.producerId, 'abort').catch((error: unknown) => {
      logger.warn('offsets of nobody are kept for now', { groupId, ...identity, error: String(error) })
    })
  }
  return changed
}

function pendingIn(groups: AdoptionOptions['groups'], logger: Logger) {
  try {
    return [...groups.pendingTransactions()]
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    logger.warn('offsets in transactions are not known', { error: error.message })
    return []
  }
}

type Parts = Parameters<HeldProducer['producer']['add']>[1]

/** undefined when it does not belong to the producer's transaction. */
function claim(
  { producer }: HeldProducer,
  identity: ProducerIdentity,
  parts: Parts,
  at: Instant,
): 'known' | 'joined' | undefined {
  // Being ended: the decision names all that it is about.
  if (producer.ending) return producer.ending.identity.producerId === identity.producerId ? 'known' : undefined
  if (!isSame(producer.identity, identity)) return undefined
  const { errorCode, isChanged } = producer.add(identity, parts, at)
  if (errorCode !== ErrorCode.NONE) return undefined
  return isChanged ? 'joined' : 'known'
}
