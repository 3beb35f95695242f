/**
 * A bounds-checked cursor over bytes, big-endian as Kafka's protocol is.
 *
 * Nothing is copied: `bytes()` gives views. Nothing is allocated from a declared length: a length is compared with what
 * is left before it is used. Reading past the end throws MalformedError and nothing else.
 */

/** The bytes do not say what they should. The connection that sent them is at fault. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError'
}

const TWO_TO_32 = 4_294_967_296
const textDecoder = /* @__PURE__ */ new TextDecoder('utf-8', { fatal: true })

export class Reader {
  readonly source: Uint8Array
  readonly #view: DataView
  readonly end: number
  position: number
  /** How many array elements may still be read: each costs many times its bytes. A relay sets it; default no limit. */
  elementsLeft = Number.POSITIVE_INFINITY

  constructor(source: Uint8Array, from = 0, to = source.length) {
    this.source = source
    this.#view = new DataView(source.buffer, source.byteOffset, source.byteLength)
    this.position = from
    this.end = to
  }

  get remaining(): number {
    return this.end - this.position
  }

  /** Moves on by `count` and returns where the field begins. */
  #take(count: number): number {
    const at = this.position
    if (count > this.end - at) {
      throw new MalformedError(`${count} bytes wanted at ${at}, but only ${this.end - at} are left`)
    }
    this.position = at + count
    return at
  }

  int8(): number {
    return this.#view.getInt8(this.#take(1))
  }

  int16(): number {
    return this.#view.getInt16(this.#take(2))
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2))
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4))
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4))
  }

  /** Exact within ±2^53; beyond, the nearest double (only hostile or nonsensical values are there). */
  int64(): number {
    const at = this.#take(8)
    return this.#view.getInt32(at) * TWO_TO_32 + this.#view.getUint32(at + 4)
  }

  float64(): number {
    return this.#view.getFloat64(this.#take(8))
  }

  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.source[this.#take(1)]!
      value |= (byte & 0x7f) << shift
      if (byte > 0x7f) continue
      if (shift === 28 && byte > 0x0f) break
      return value >>> 0
    }
    throw new MalformedError(`a variable-length integer at ${this.position} is too long`)
  }

  varint(): number {
    const raw = this.uvarint()
    return (raw >>> 1) ^ -(raw & 1)
  }

  varlong(): number {
    let low = 0
    let high = 0
    for (let index = 0; index < 10; index++) {
      const byte = this.source[this.#take(1)]!
      if (index < 4) low |= (byte & 0x7f) << (7 * index)
      else high += (byte & 0x7f) * 2 ** (7 * (index - 4))
      if (byte > 0x7f) continue
      // Zigzag: the lowest bit is the sign.
      if (index < 4) return (low >>> 1) ^ -(low & 1)
      // `raw` stays exact up to 2^53, as offsets and timestamps do.
      const raw = high * 2 ** 28 + low
      return low & 1 ? -(raw - 1) / 2 - 1 : raw / 2
    }
    throw new MalformedError(`a variable-length integer at ${this.position} is too long`)
  }

  /** A view, not a copy. */
  bytes(count: number): Uint8Array {
    if (count < 0) throw new MalformedError(`a length of ${count} at ${this.position}`)
    const at = this.#take(count)
    // Plain bytes: a part of Node's Buffer has a `slice` that copies nothing, and whoever keeps one of a request would keep the
    // whole chunk that a socket has filled.
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, count)
  }

  utf8(count: number): string {
    const view = this.bytes(count)
    // Short strings are the rule (names, ids); a loop beats the decoder's call overhead for them.
    if (count > 64) return this.#decoded(view)
    let text = ''
    for (let index = 0; index < count; index++) {
      const byte = view[index]!
      if (byte > 0x7f) return this.#decoded(view)
      text += String.fromCharCode(byte)
    }
    return text
  }

  #decoded(view: Uint8Array): string {
    try {
      return textDecoder.decode(view)
    } catch {
      throw new MalformedError(`text before ${this.position} is not UTF-8`)
    }
  }

  skip(count: number): void {
    if (count < 0) throw new MalformedError(`a length of ${count} at ${this.position}`)
    this.#take(count)
  }
}
