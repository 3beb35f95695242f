/**
 * A growing sink, big-endian. `finish()` gives the written bytes as a view of the sink's own buffer, so a writer is
 * used for one message and then dropped.
 */
import { uuidToBytes } from '../lib/uuid.ts'

const TWO_TO_32 = 4_294_967_296
/** Room for the few fields behind a large one: without it the whole message would be copied once more for them. */
const SLACK_BYTES = 512
const textEncoder = /* @__PURE__ */ new TextEncoder()

export class Writer {
  #bytes: Uint8Array<ArrayBuffer>
  #view: DataView
  #length = 0

  /** `headroom` bytes are left free in front, for a frame header that is known only later. */
  constructor(sizeHint = 256, headroom = 0) {
    this.#bytes = new Uint8Array(sizeHint + headroom)
    this.#view = new DataView(this.#bytes.buffer)
    this.#length = headroom
  }

  get length(): number {
    return this.#length
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length)
  }

  /** May replace buffer and view, so it is called before either is looked at. */
  #room(count: number): number {
    const at = this.#length
    const needed = at + count
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed + SLACK_BYTES, this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, at))
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    this.#length = needed
    return at
  }

  int8(value: number): void {
    const at = this.#room(1)
    this.#view.setInt8(at, value)
  }

  int16(value: number): void {
    const at = this.#room(2)
    this.#view.setInt16(at, value)
  }

  int32(value: number): void {
    const at = this.#room(4)
    this.#view.setInt32(at, value)
  }

  uint32(value: number): void {
    const at = this.#room(4)
    this.#view.setUint32(at, value)
  }

  int64(value: number): void {
    const at = this.#room(8)
    this.#view.setInt32(at, Math.floor(value / TWO_TO_32))
    this.#view.setUint32(at + 4, value >>> 0)
  }

  float64(value: number): void {
    const at = this.#room(8)
    this.#view.setFloat64(at, value)
  }

  boolean(value: boolean): void {
    this.int8(value ? 1 : 0)
  }

  uuid(value: string): void {
    this.bytes(uuidToBytes(value))
  }

  uvarint(value: number): void {
    let rest = value
    while (rest > 0x7f) {
      const at = this.#room(1)
      this.#bytes[at] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    const at = this.#room(1)
    this.#bytes[at] = rest
  }

  varint(value: number): void {
    this.uvarint(((value << 1) ^ (value >> 31)) >>> 0)
  }

  /** Exact for |value| < 2^52. */
  varlong(value: number): void {
    this.uvarint(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  bytes(value: Uint8Array): void {
    const at = this.#room(value.length)
    this.#bytes.set(value, at)
  }

  /** Writes the UTF-8 form without a length; callers that need the length first use `encodeUtf8`. */
  static encodeUtf8(text: string): Uint8Array {
    return textEncoder.encode(text)
  }

  /** Overwrites four bytes written before, for a length that is known only now. */
  patchInt32(at: number, value: number): void {
    this.#view.setInt32(at, value)
  }

  patchUint32(at: number, value: number): void {
    this.#view.setUint32(at, value)
  }
}
