/** All that transactions do outside of the outbox, as one module: loaded at the first. Built as transactions.js. */
export { TransactionalProducer } from './producer.ts'
export { storeTransaction } from './store-transaction.ts'
