/**
 * SipHash-2-4 with 128 bits of output: a hash under a secret, so that nobody who chooses keys can make two of them collide.
 *
 * In whole numbers of 32 bits, because that is what JavaScript adds and turns at full speed: for the short keys that
 * records have it takes a tenth of what a call into OpenSSL does.
 *
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), and the reference code's longer output.
 */

export const SECRET_BYTES = 16

const BLOCK_BYTES = 8
const ROUNDS = 2
const LAST_ROUNDS = 4
/** What the variant with the longer output mixes in at the beginning, and before each half. */
const LONGER = 0xee
const SECOND_HALF = 0xdd

export class KeyHash {
  /** The hash that was made last, in four words. */
  readonly words = new Int32Array(4)
  readonly #secret: Int32Array

  /** SECRET_BYTES of it, drawn at random. */
  constructor(secret: Uint8Array) {
    this.#secret = Int32Array.from({ length: 4 }, (_, word) => littleEndian(secret, word * 4, secret.length))
  }

  /** Each 64-bit word of the state is two variables: its low half, and its high one. */
  make(bytes: Uint8Array): void {
    const { words } = this
    const secret = this.#secret
    const [k0, k0High, k1, k1High] = [secret[0]!, secret[1]!, secret[2]!, secret[3]!]
    const { length } = bytes
    const blocks = Math.floor(length / BLOCK_BYTES) + 1
    let v0 = k0 ^ 0x70736575
    let v0High = k0High ^ 0x736f6d65
    let v1 = k1 ^ 0x6e646f6d ^ LONGER
    let v1High = k1High ^ 0x646f7261
    let v2 = k0 ^ 0x6e657261
    let v2High = k0High ^ 0x6c796765
    let v3 = k1 ^ 0x79746573
    let v3High = k1High ^ 0x74656462
    for (let step = 0; step < blocks + 2; step++) {
      const isBlock = step < blocks
      let low = 0
      let high = 0
      if (isBlock) {
        const at = step * BLOCK_BYTES
        low = littleEndian(bytes, at, length)
        high = littleEndian(bytes, at + 4, length)
        if (step === blocks - 1) high |= length << 24
        v3 ^= low
        v3High ^= high
      } else if (step === blocks) v2 ^= LONGER
      else {
        words[0] = v0 ^ v1 ^ v2 ^ v3
        words[1] = v0High ^ v1High ^ v2High ^ v3High
        v1 ^= SECOND_HALF
      }
      for (let round = isBlock ? ROUNDS : LAST_ROUNDS; round > 0; round--) {
        let sum = (v0 + v1) | 0
        v0High = (v0High + v1High + carry(sum, v0)) | 0
        v0 = sum
        let turned = (v1 << 13) | (v1High >>> 19)
        v1High = ((v1High << 13) | (v1 >>> 19)) ^ v0High
        v1 = turned ^ v0
        turned = v0
        v0 = v0High
        v0High = turned

        sum = (v2 + v3) | 0
        v2High = (v2High + v3High + carry(sum, v2)) | 0
        v2 = sum
        turned = (v3 << 16) | (v3High >>> 16)
        v3High = ((v3High << 16) | (v3 >>> 16)) ^ v2High
        v3 = turned ^ v2

        sum = (v0 + v3) | 0
        v0High = (v0High + v3High + carry(sum, v0)) | 0
        v0 = sum
        turned = (v3 << 21) | (v3High >>> 11)
        v3High = ((v3High << 21) | (v3 >>> 11)) ^ v0High
        v3 = turned ^ v0

        sum = (v2 + v1) | 0
        v2High = (v2High + v1High + carry(sum, v2)) | 0
        v2 = sum
        turned = (v1 << 17) | (v1High >>> 15)
        v1High = ((v1High << 17) | (v1 >>> 15)) ^ v2High
        v1 = turned ^ v2
        turned = v2
        v2 = v2High
        v2High = turned
      }
      v0 ^= low
      v0High ^= high
    }
    words[2] = v0 ^ v1 ^ v2 ^ v3
    words[3] = v0High ^ v1High ^ v2High ^ v3High
  }
}

/** Whether adding to `addend` went beyond 32 bits. */
const carry = (sum: number, addend: number): number => (sum >>> 0 < addend >>> 0 ? 1 : 0)

/** Four bytes; what lies beyond `end` is 0. */
function littleEndian(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  let word = 0
  for (let index = at; index < end; index++) word |= bytes[index]! << (8 * (index - at))
  return word
}
