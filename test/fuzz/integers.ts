/** Integers at the edges of their types, and lengths that lie. */
import { Writer } from '../../protocol/bytes/writer.ts'
import type { Draw } from './draw.ts'
import type { Prefix } from './wire-tree.ts'

/** As bytes, because not all are numbers that JavaScript could hold. */
export function edgeOf(sizeBytes: number, draw: Draw): Uint8Array {
  const bytes = new Uint8Array(sizeBytes)
  switch (draw.below(8)) {
    case 0:
      return bytes
    case 1:
      return bytes.fill(0xff)
    case 2:
      bytes.fill(0xff)[0] = 0x7f
      return bytes
    case 3:
      bytes[0] = 0x80
      return bytes
    case 4:
      bytes[sizeBytes - 1] = draw.below(8)
      return bytes
    case 5:
      // -1 to -8: Kafka's special values.
      bytes.fill(0xff)[sizeBytes - 1] = 0xff - draw.below(8)
      return bytes
    case 6:
      bytes[draw.below(sizeBytes)] = 1 << draw.below(8)
      return bytes
    default:
      return draw.random.bytes(sizeBytes)
  }
}

export function nudged(bytes: Uint8Array, by: number): Uint8Array {
  const changed = bytes.slice()
  for (let at = changed.length - 1, carry = by; at >= 0 && carry !== 0; at--) {
    const sum = changed[at]! + carry
    changed[at] = sum & 0xff
    carry = sum < 0 ? -1 : sum > 0xff ? 1 : 0
  }
  return changed
}

const varint = (value: number): Uint8Array => {
  const writer = new Writer(10)
  writer.uvarint(value)
  return writer.finish().slice()
}

/** What no varint of 32 bits says: too long, never ending, longer than it must be. */
const BAD_VARINTS = [
  [0xff, 0xff, 0xff, 0xff, 0x1f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  new Array<number>(11).fill(0xff),
  [0x80, 0x80, 0x80, 0x00],
  [0x81, 0x80, 0x00],
  [0x80],
].map((bytes) => Uint8Array.from(bytes))

/** Every length that a field of this kind is tried with; `actual` is the true one, as it is counted on the wire. */
export function extremeLengths(prefix: Prefix, actual: number): Uint8Array[] {
  if (prefix === 'compact') {
    const values = [0, 1, actual, actual + 2, 0x7f, 0x80, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]
    return [...values.filter((value) => value !== actual + 1).map(varint), ...BAD_VARINTS]
  }
  const sizeBytes = prefix === 'int16' ? 2 : 4
  const max = 2 ** (8 * sizeBytes - 1)
  return [0, 1, actual + 1, Math.max(actual - 1, 0), max - 1, -1, -2, -max]
    .filter((value) => value !== actual)
    .map((value) => numberBytes(value, sizeBytes))
}

/** Big-endian; what does not fit is cut off. */
export function numberBytes(value: number, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes)
  let rest = BigInt(value)
  for (let at = sizeBytes - 1; at >= 0; at--) {
    bytes[at] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return bytes
}
