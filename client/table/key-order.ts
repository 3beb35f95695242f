/**
 * Keys of tables are bytes and compare as bytes: an encoded key that is lower lies in front. UTF-8 keeps the order of
 * code points, so `string` keys need nothing; numbers need `orderedNumber`.
 */
import type { Serde } from '../serde.ts'
import type { TableCursor } from './seam.ts'

const NUMBER_BYTES = 8
const SIGN = 0x80

/** Numbers whose bytes compare as they do: a double, sign bit flipped, negative ones inverted. NaN is refused. */
export const orderedNumber: Serde<number> = {
  encode(value) {
    if (Number.isNaN(value)) throw new TypeError('NaN has no place in an order')
    const bytes = new Uint8Array(NUMBER_BYTES)
    // Adding 0 makes -0 the same key as 0.
    new DataView(bytes.buffer).setFloat64(0, value + 0)
    return flipped(bytes, bytes[0]! >= SIGN)
  },
  decode(given) {
    if (given.length !== NUMBER_BYTES) throw new TypeError(`a number has ${NUMBER_BYTES} bytes, not ${given.length}`)
    const bytes = flipped(given.slice(), given[0]! < SIGN)
    return new DataView(bytes.buffer).getFloat64(0)
  },
}

function flipped(bytes: Uint8Array, isNegative: boolean): Uint8Array {
  if (isNegative) for (let at = 0; at < NUMBER_BYTES; at++) bytes[at] = ~bytes[at]!
  else bytes[0]! ^= SIGN
  return bytes
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return a[at]! - b[at]!
  return a.length - b.length
}

/** By what an index says, and by the row's key where that is the same. */
export function compareCursors(a: TableCursor, b: TableCursor): number {
  return compareBytes(a.at, b.at) || compareBytes(a.key, b.key)
}

/** The very next key: nothing lies between. */
export function successorOf(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}

/** The first key behind all that begin with `prefix`; null when none is. */
export function endOfPrefix(prefix: Uint8Array): Uint8Array | null {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length--
  if (length === 0) return null
  const end = prefix.slice(0, length)
  end[length - 1]!++
  return end
}

/** Half open; null: no bound. */
export interface KeyInterval {
  from: Uint8Array | null
  to: Uint8Array | null
}

export function isWithin(key: Uint8Array, { from, to }: KeyInterval): boolean {
  return (from === null || compareBytes(key, from) >= 0) && (to === null || compareBytes(key, to) < 0)
}

/** Bytes as a string that is equal when they are, and sorts as they do: a key for maps. */
export function textOf(key: Uint8Array): string {
  let text = ''
  for (const byte of key) text += String.fromCharCode(byte)
  return text
}
