/**
 * Large buffers for reading logs, used again once what was read has gone to the network. Without them each megabyte that
 * is answered is a megabyte for the garbage collector, which then works more than everything else.
 */

/** What a consumer asks of a partition by default (1 MiB), and what is read in front of its first batch. */
const BUFFER_BYTES = 1024 * 1024 + 64 * 1024
/** Smaller ones are made as they are needed. */
const WORTH_BYTES = 128 * 1024
const FREE_MAX = 8

export class ReadBuffers {
  readonly #free: Buffer[] = []

  /** For one answer. */
  lease(): ReadLease {
    return new ReadLease(this.#free)
  }
}

export class ReadLease {
  readonly #free: Buffer[]
  readonly #taken: Buffer[] = []

  constructor(free: Buffer[]) {
    this.#free = free
  }

  readonly allocate = (sizeBytes: number): Buffer => {
    if (sizeBytes < WORTH_BYTES || sizeBytes > BUFFER_BYTES) return Buffer.allocUnsafeSlow(sizeBytes)
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
    this.#taken.push(buffer)
    return buffer.subarray(0, sizeBytes)
  }

  /** How far it has been taken of; for `giveBack`. */
  get mark(): number {
    return this.#taken.length
  }

  /** Nobody looks any more at what was read since then. */
  giveBack(mark: number): void {
    for (const buffer of this.#taken.splice(mark)) if (this.#free.length < FREE_MAX) this.#free.push(buffer)
  }

  /** Nobody looks any more at what was read. One that is never released is left to the garbage collector. */
  release(): void {
    this.giveBack(0)
  }
}
