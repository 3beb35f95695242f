/**
 * 128-bit ids (topics, replicas) are 16 raw bytes on the wire and 22 characters of unpadded base64url everywhere else,
 * as Kafka prints them.
 */
import type { Random } from './random.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const UUID_BYTES = 16
const UUID_CHARS = 22

/** All zero bits: "no id". */
export const NULL_UUID = /* @__PURE__ */ 'A'.repeat(UUID_CHARS)

export function uuidFromBytes(bytes: Uint8Array, at = 0): string {
  let text = ''
  let bits = 0
  let bitCount = 0
  for (let index = at; index < at + UUID_BYTES; index++) {
    bits = (bits << 8) | bytes[index]!
    for (bitCount += 8; bitCount >= 6; ) {
      bitCount -= 6
      text += ALPHABET[(bits >> bitCount) & 63]!
    }
  }
  return text + ALPHABET[(bits & 3) << 4]!
}

/** Throws a RangeError when `text` is not 22 characters of base64url. */
export function uuidToBytes(text: string): Uint8Array {
  if (text.length !== UUID_CHARS)
    throw new RangeError(`an id has ${UUID_CHARS} characters, not ${text.length}: "${text}"`)
  const bytes = new Uint8Array(UUID_BYTES)
  let bits = 0
  let bitCount = 0
  let at = 0
  for (const char of text) {
    const value = ALPHABET.indexOf(char)
    if (value < 0) throw new RangeError(`"${char}" is not a character of an id: "${text}"`)
    bits = (bits << 6) | value
    bitCount += 6
    if (bitCount >= 8 && at < UUID_BYTES) {
      bitCount -= 8
      bytes[at++] = (bits >> bitCount) & 0xff
      bits &= (1 << bitCount) - 1
    }
  }
  return bytes
}

export function isUuid(text: string): boolean {
  return text.length === UUID_CHARS && [...text].every((char) => ALPHABET.includes(char))
}

/** A new id that is not the null id and does not begin with a dash (it would look like a flag in a shell). */
export function randomUuid(random: Random): string {
  for (;;) {
    const bytes = random.bytes(UUID_BYTES)
    bytes[6] = (bytes[6]! & 0x0f) | 0x40
    bytes[8] = (bytes[8]! & 0x3f) | 0x80
    const text = uuidFromBytes(bytes)
    if (!text.startsWith('-')) return text
  }
}
