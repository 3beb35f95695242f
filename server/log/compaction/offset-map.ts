/**
 * The newest offset of each key, in a fixed number of bytes whatever the keys are: 16 bytes of hash and 8 of offset for
 * each, in open addressing. When it is full the pass ends there, and the next one goes on from that offset.
 *
 * Two keys with one hash would cost the older of them its record, so that must not happen. The hash is made under a secret
 * that is drawn anew for each map. Nobody who writes keys knows it, so collisions can't be made, only met: with a billion
 * keys in one map the odds are 1 to 10^21, far below those of a bit that flips on its way through memory.
 */
import type { Random } from '../../../protocol/lib/random.ts'
import { KeyHash, SECRET_BYTES } from './key-hash.ts'

const SLOT_BYTES = 24
/** Beyond this share of used slots the runs of neighbours grow long. */
const LOAD_MAX = 0.75
const SLOTS_MIN = 1024

export class OffsetMap {
  readonly capacity: number
  readonly #hashes: Int32Array
  /** One added: 0 is an empty slot. */
  readonly #offsets: Float64Array
  readonly #slots: number
  readonly #hash: KeyHash
  #count = 0

  /** Takes no more than `bytesMax`, and no more than `keysMax` keys need. */
  constructor(bytesMax: number, keysMax: number, random: Random) {
    const wanted = Math.ceil(keysMax / LOAD_MAX) + 1
    this.#slots = Math.max(SLOTS_MIN, Math.min(wanted, Math.floor(bytesMax / SLOT_BYTES)))
    this.capacity = Math.floor(this.#slots * LOAD_MAX)
    this.#hashes = new Int32Array(this.#slots * 4)
    this.#offsets = new Float64Array(this.#slots)
    this.#hash = new KeyHash(random.bytes(SECRET_BYTES))
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
      this.#hashes.set(this.#hash.words, slot * 4)
      this.#count++
    }
    this.#offsets[slot] = offset + 1
    return true
  }

  newest(key: Uint8Array): number | undefined {
    const offset = this.#offsets[this.#find(key)]!
    return offset === 0 ? undefined : offset - 1
  }

  /** The key's slot, or the empty one where it would stand. Its hash is in `#hash.words` then. */
  #find(key: Uint8Array): number {
    this.#hash.make(key)
    const { words } = this.#hash
    const [a, b, c, d] = [words[0]!, words[1]!, words[2]!, words[3]!]
    for (let slot = (a >>> 0) % this.#slots; ; slot = slot + 1 === this.#slots ? 0 : slot + 1) {
      if (this.#offsets[slot] === 0) return slot
      const at = slot * 4
      const hashes = this.#hashes
      if (hashes[at] === a && hashes[at + 1] === b && hashes[at + 2] === c && hashes[at + 3] === d) return slot
    }
  }
}
