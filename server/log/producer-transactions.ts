/**
 * What a producer may do to its transaction in one log, and what a coordinator may. That the transaction holds this
 * partition at all is for whoever calls the log to know.
 *
 *  - A batch outside of transactions is refused while one is open: it would be decided together with it.
 *  - A batch of a newer epoch is refused while an older epoch's transaction is open: one marker would decide both.
 *  - A marker of an older producer epoch, or of an older coordinator, is refused. One of a newer epoch raises it.
 */
import { KafkaError } from '../../protocol/errors.ts'
import type { BatchHeader } from '../../protocol/record-batch.ts'
import { isTransactional } from '../../protocol/record-batch.ts'
import type { TransactionMarker } from '../../protocol/transaction-marker.ts'
import type { ProducerEntry } from './producer-state.ts'

export const NO_COORDINATOR_EPOCH = -1
const PRODUCER_EPOCH_MAX = 32_767

export function checkTransactionOf(header: BatchHeader, { epoch, transaction }: ProducerEntry): void {
  if (!transaction) return
  const open = `the transaction of producer ${header.producerId} that is open since offset ${transaction.firstOffset}`
  if (!isTransactional(header)) {
    throw new KafkaError('INVALID_TXN_STATE', `a batch outside of ${open}; end it first`)
  }
  if (header.producerEpoch > epoch) {
    throw new KafkaError('INVALID_TXN_STATE', `epoch ${header.producerEpoch} writes into ${open} in epoch ${epoch}`)
  }
}

export function checkMarkerEpochs(marker: TransactionMarker, entry: ProducerEntry | undefined): void {
  const { producerId, producerEpoch, coordinatorEpoch } = marker
  if (!(producerId >= 0 && producerEpoch >= 0 && producerEpoch <= PRODUCER_EPOCH_MAX)) {
    throw new KafkaError('INVALID_REQUEST', `no producer has id ${producerId} and epoch ${producerEpoch}`)
  }
  if (!entry) return
  if (producerEpoch < entry.epoch) {
    throw new KafkaError(
      'INVALID_PRODUCER_EPOCH',
      `a marker for epoch ${producerEpoch} of producer ${producerId}; epoch ${entry.epoch} has taken over`,
    )
  }
  if (coordinatorEpoch < entry.coordinatorEpoch) {
    throw new KafkaError(
      'TRANSACTION_COORDINATOR_FENCED',
      `a marker of coordinator epoch ${coordinatorEpoch} for producer ${producerId}; ` +
        `one of epoch ${entry.coordinatorEpoch} has spoken`,
    )
  }
}
