/**
 * Finds what repeats: the common front half of the LZ77 writers here. Greedy, one candidate for each hash of four bytes,
 * with longer strides through what does not compress. Fast rather than tight: these writers serve a relay that rewrites
 * batches, not an archive.
 */
const HASH_BITS = 14
const MATCH_BYTES_MIN = 4
/** After 64 misses in a row the stride grows by one. */
const STRIDE_SHIFT = 6

export interface Match {
  /** Where the bytes begin that repeat. */
  at: number
  distance: number
  length: number
}

export interface MatchRange {
  from: number
  to: number
  /** How far back a match may lie, never before `from`. */
  distanceMax: number
  /** Matches neither begin nor end within so many bytes of the end. */
  tailBytes: number
}

const table = new Int32Array(1 << HASH_BITS)

/** Matches in order, without overlap. What lies between them is literal. */
export function findMatches(input: Uint8Array, range: MatchRange, onMatch: (match: Match) => void): void {
  const { from, to, distanceMax, tailBytes } = range
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  const last = to - Math.max(tailBytes, MATCH_BYTES_MIN)
  // Positions are kept with one added: 0 is empty.
  table.fill(0)
  let misses = 0
  for (let at = from; at <= last; ) {
    const word = view.getUint32(at)
    const slot = Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS)
    const candidate = table[slot]! - 1
    table[slot] = at + 1
    if (candidate < from || at - candidate > distanceMax || view.getUint32(candidate) !== word) {
      at += 1 + (misses++ >>> STRIDE_SHIFT)
      continue
    }
    misses = 0
    let length = MATCH_BYTES_MIN
    const lengthMax = to - tailBytes - at
    while (length < lengthMax && input[candidate + length] === input[at + length]) length++
    if (length > lengthMax) return
    onMatch({ at, distance: at - candidate, length })
    at += length
  }
}
