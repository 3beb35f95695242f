/** What pages use: the client's names, with a `connect` whose connection, replica and outbox live in a worker. */
export * from '../client/index.ts'
export type { WorkerChoice } from './choose.ts'
export { connect, type PageConnectOptions } from './connect.ts'
