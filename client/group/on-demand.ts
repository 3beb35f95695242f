/** All that groups do, as one module: loaded when the first consumer begins, since most pages never read in a group. */
export { processed } from '../receipts/processed.ts'
export { ReceiptHub } from '../receipts/receipt-hub.ts'
export { DeadLetters } from './dead-letters.ts'
export { startConsumer } from './start-consumer.ts'
