/**
 * A sink for answers that carry record batches: what is large is not copied, the message goes out in pieces instead.
 *
 *   | fields | batches, as they were read | fields | ...
 */
import { Writer } from './writer.ts'

/** Below it a copy costs less than one more piece for the socket. */
const KEPT_BYTES_MIN = 16 * 1024

export class PieceWriter extends Writer {
  #kept: Array<{ at: number; value: Uint8Array }> = []

  /** What is kept must not change until the message is sent. */
  override bytes(value: Uint8Array): void {
    if (value.length < KEPT_BYTES_MIN) super.bytes(value)
    else this.#kept.push({ at: this.length, value })
  }

  /** The message in order. The first piece begins with the headroom, and there is always one. */
  pieces(): [first: Uint8Array<ArrayBuffer>, ...rest: Uint8Array[]] {
    const own = this.finish()
    const pieces: [Uint8Array<ArrayBuffer>, ...Uint8Array[]] = [own.subarray(0, this.#kept[0]?.at ?? own.length)]
    for (const [index, { at, value }] of this.#kept.entries()) {
      pieces.push(value)
      const end = this.#kept[index + 1]?.at ?? own.length
      if (end > at) pieces.push(own.subarray(at, end))
    }
    return pieces
  }
}
