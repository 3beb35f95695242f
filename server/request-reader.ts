/** Reads requests: within bounds on what a few bytes on the wire may become in memory, and in answers. */
import { MalformedError, Reader } from '../protocol/bytes/reader.ts'

/** Array elements in one request: enough for tens of thousands of partitions, and what they take in memory is bounded. */
const ELEMENTS_MAX = 100_000
/** Texts come back in answers, whose older versions count the bytes of a text in 16 bits. Kafka's own limit. */
const TEXT_BYTES_MAX = 32_767

export class RequestReader extends Reader {
  override elementsLeft = ELEMENTS_MAX

  override utf8(count: number): string {
    if (count > TEXT_BYTES_MAX) throw new MalformedError(`a text of ${count} bytes at ${this.position}`)
    return super.utf8(count)
  }
}
