/** A program with one transactional id, as its machines see it: it crashes, or a second instance comes while the first lives. */
import type { TransactionalProducer } from './transactional-producer.ts'

export interface TransactionalAppOptions {
  newInstance(index: number): TransactionalProducer
  go(work: () => Promise<void>): void
}

export class TransactionalApp {
  readonly #options: TransactionalAppOptions
  readonly #instances: TransactionalProducer[] = []

  constructor(options: TransactionalAppOptions) {
    this.#options = options
  }

  get current(): TransactionalProducer {
    return this.#instances.at(-1)!
  }

  start(): void {
    const instance = this.#options.newInstance(this.#instances.length)
    this.#instances.push(instance)
    this.#options.go(() => instance.run())
  }

  crash(): void {
    this.#replace().kill()
  }

  /** The old one sleeps, and wakes as a zombie. */
  haunt(frozenMs: number): void {
    this.#replace().process.freeze(frozenMs)
  }

  #replace(): TransactionalProducer {
    const { current } = this
    current.isReplaced = true
    this.start()
    return current
  }

  stop(): void {
    this.current.stop()
  }

  /** Nobody of it has a transaction open, but for those that died with one. */
  get isDone(): boolean {
    return this.#instances.every(({ isDone, process }) => isDone || !process.isAlive)
  }
}
