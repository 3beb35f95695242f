/**
 * The entropy code of zstd's sequences (FSE, RFC 8878 section 4.1), with the tables that the format predefines.
 *
 * Each of the three numbers of a sequence is a code, written through a state machine that spends fewer bits on frequent
 * codes, and extra bits for what lies between two codes.
 */

/** Bits from the lowest up; a final 1 tells the reader, which starts at the end, where they begin. */
export class BackwardBits {
  #bytes: Uint8Array
  #size = 0
  #pending = 0
  #pendingBits = 0

  constructor(sizeHint: number) {
    this.#bytes = new Uint8Array(sizeHint)
  }

  /** At most 17 bits at a time are kept pending, so that all fits in an int32. */
  add(value: number, count: number): void {
    if (count > 16) {
      this.add(value & 0xffff, 16)
      this.add(value >>> 16, count - 16)
      return
    }
    this.#pending |= (value & ((1 << count) - 1)) << this.#pendingBits
    this.#pendingBits += count
    while (this.#pendingBits >= 8) this.#emit()
  }

  finish(): Uint8Array {
    this.add(1, 1)
    if (this.#pendingBits > 0) this.#emit()
    return this.#bytes.subarray(0, this.#size)
  }

  #emit(): void {
    if (this.#size === this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2)
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes[this.#size++] = this.#pending & 0xff
    this.#pending >>>= 8
    this.#pendingBits -= 8
  }
}

interface Table {
  log: number
  /** By symbol: see `step`. */
  deltaBits: Int32Array
  deltaState: Int32Array
  states: Uint16Array
}

/** `shares`: how many of the 2^log states a symbol has; -1 is one state at the end of the table. */
function buildTable(shares: readonly number[], log: number): Table {
  const size = 1 << log
  const symbols = spreadSymbols(shares, size)
  const firstOf = new Int32Array(shares.length + 1)
  shares.forEach((share, symbol) => {
    firstOf[symbol + 1] = firstOf[symbol]! + Math.abs(share)
  })
  const states = new Uint16Array(size)
  const next = firstOf.slice()
  for (let at = 0; at < size; at++) states[next[symbols[at]!]!++] = size + at
  const deltaBits = new Int32Array(shares.length)
  const deltaState = new Int32Array(shares.length)
  shares.forEach((share, symbol) => {
    const count = Math.abs(share)
    if (count === 0) return
    const bitsMax = count === 1 ? log : log - highestBit(count - 1)
    deltaBits[symbol] = (bitsMax << 16) - (count << bitsMax)
    deltaState[symbol] = firstOf[symbol]! - count
  })
  return { log, deltaBits, deltaState, states }
}

function spreadSymbols(shares: readonly number[], size: number): Uint8Array {
  const symbols = new Uint8Array(size)
  let high = size - 1
  shares.forEach((share, symbol) => {
    if (share === -1) symbols[high--] = symbol
  })
  const step = (size >> 1) + (size >> 3) + 3
  let at = 0
  shares.forEach((share, symbol) => {
    for (let left = share; left > 0; left--) {
      symbols[at] = symbol
      do at = (at + step) & (size - 1)
      while (at > high)
    }
  })
  return symbols
}

const highestBit = (value: number): number => 31 - Math.clz32(value)

/** Smallest value of each code. */
function basesOf(extraBits: readonly number[]): number[] {
  let base = 0
  return extraBits.map((bits) => {
    const first = base
    base += 2 ** bits
    return first
  })
}

const LITERAL_LENGTH = {
  table: buildTable(
    [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1],
    6,
  ),
  extraBits: [...new Array(16).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16] as number[],
}
const MATCH_LENGTH = {
  table: buildTable(
    [
      ...[1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
      ...[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1],
    ],
    6,
  ),
  extraBits: [
    ...new Array(32).fill(0),
    ...[1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
  ] as number[],
}
/** A code is the position of the value's highest bit; the bits below follow. */
const OFFSET = {
  table: buildTable([1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1], 5),
  extraBits: Array.from({ length: 29 }, (_, code) => code),
}

export class SequenceCode {
  readonly #table: Table
  readonly #extraBits: readonly number[]
  readonly #bases: readonly number[]
  #state = -1
  #extra = 0
  #extraCount = 0

  private constructor({ table, extraBits }: typeof OFFSET, bases: readonly number[]) {
    this.#table = table
    this.#extraBits = extraBits
    this.#bases = bases
  }

  static literalLength(): SequenceCode {
    return new SequenceCode(LITERAL_LENGTH, basesOf(LITERAL_LENGTH.extraBits))
  }

  static matchLength(): SequenceCode {
    return new SequenceCode(MATCH_LENGTH, basesOf(MATCH_LENGTH.extraBits))
  }

  static offset(): SequenceCode {
    return new SequenceCode(
      OFFSET,
      OFFSET.extraBits.map((bits) => 2 ** bits),
    )
  }

  /** Moves the state; its first symbol only sets it. The extra bits come with `writeExtra`. */
  write(bits: BackwardBits, value: number): void {
    const code = this.#codeOf(value)
    this.#extra = value - this.#bases[code]!
    this.#extraCount = this.#extraBits[code]!
    const { deltaBits, deltaState, states } = this.#table
    if (this.#state < 0) {
      const count = (deltaBits[code]! + (1 << 15)) >> 16
      const start = (count << 16) - deltaBits[code]!
      this.#state = states[(start >> count) + deltaState[code]!]!
      return
    }
    const count = (this.#state + deltaBits[code]!) >> 16
    bits.add(this.#state, count)
    this.#state = states[(this.#state >> count) + deltaState[code]!]!
  }

  writeExtra(bits: BackwardBits): void {
    bits.add(this.#extra, this.#extraCount)
  }

  flush(bits: BackwardBits): void {
    bits.add(this.#state, this.#table.log)
  }

  #codeOf(value: number): number {
    let low = 0
    let high = this.#bases.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#bases[middle]! <= value) low = middle
      else high = middle - 1
    }
    return low
  }
}
