/** All that groups do, as one module: loaded when the first consumer begins, since most pages never read in a group. */
export { startConsumer } from './start-consumer.ts'
