/**
 * The newest offset of each key, in a fixed number of bytes whatever the keys are: 16 bytes of hash and 8 of offset for
 * each, in open addressing. When it is full the pass ends there, and the next one goes on from that offset.
 *
 * Two keys with one hash would cost the older of them its record, so that must not happen. The hash is the front half of
 * SHA-256 over a secret and the key; the secret is drawn anew for each map. Nobody who writes keys knows it, so collisions
 * can't be made, only met: with a billion keys in one map the odds are 1 to 10^21, far below those of a bit that flips on
 * its way through memory.
 */
import { hash } from 'node:crypto'
import type { Random } from '../../../protocol/lib/random.ts'

const SLOT_BYTES = 24
const SECRET_BYTES = 32
/** Beyond this share of used slots the runs of neighbours grow long. */
const LOAD_MAX = 0.75
const SLOTS_MIN = 1024

export class OffsetMap {
  readonly capacity: number
  readonly #hashes: Uint32Array
  /** One added: 0 is an empty slot. */
  readonly #offsets: Float64Array
  readonly #slots: number
  #scratch: Uint8Array
  #count = 0

  /** Takes no more than `bytesMax`, and no more than `keysMax` keys need. */
  constructor(bytesMax: number, keysMax: number, random: Random) {
    const wanted = Math.ceil(keysMax / LOAD_MAX) + 1
    this.#slots = Math.max(SLOTS_MIN, Math.min(wanted, Math.floor(bytesMax / SLOT_BYTES)))
    this.capacity = Math.floor(this.#slots * LOAD_MAX)
    this.#hashes = new Uint32Array(this.#slots * 4)
    this.#offsets = new Float64Array(this.#slots)
    this.#scratch = new Uint8Array(SECRET_BYTES + 256)
    this.#scratch.set(random.bytes(SECRET_BYTES))
  }

  get count(): number {
    return this.#count
  }

  get isFull(): boolean {
    return this.#count >= this.capacity
  }

  /** Offsets come in ascending order. Returns false when the key is new and there is no room for it. */
  put(key: Uint8Array, offset: number): boolean {
    const slot = this.#find(key)
    if (this.#offsets[slot] === 0) {
      if (this.isFull) return false
      this.#hashes.set(this.#words, slot * 4)
      this.#count++
    }
    this.#offsets[slot] = offset + 1
    return true
  }

  newest(key: Uint8Array): number | undefined {
    const offset = this.#offsets[this.#find(key)]!
    return offset === 0 ? undefined : offset - 1
  }

  /** Of the key that `#find` looked for last. */
  #words = new Uint32Array(4)

  /** The key's slot, or the empty one where it would stand. */
  #find(key: Uint8Array): number {
    this.#hash(key)
    const [a, b, c, d] = this.#words as unknown as [number, number, number, number]
    for (let slot = a % this.#slots; ; slot = slot + 1 === this.#slots ? 0 : slot + 1) {
      if (this.#offsets[slot] === 0) return slot
      const at = slot * 4
      const hashes = this.#hashes
      if (hashes[at] === a && hashes[at + 1] === b && hashes[at + 2] === c && hashes[at + 3] === d) return slot
    }
  }

  #hash(key: Uint8Array): void {
    const size = SECRET_BYTES + key.length
    if (size > this.#scratch.length) {
      const larger = new Uint8Array(size * 2)
      larger.set(this.#scratch.subarray(0, SECRET_BYTES))
      this.#scratch = larger
    }
    this.#scratch.set(key, SECRET_BYTES)
    const digest = hash('sha256', this.#scratch.subarray(0, size), 'buffer')
    for (let word = 0; word < 4; word++) this.#words[word] = digest.readUInt32LE(word * 4)
  }
}
