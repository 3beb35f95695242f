/** From a row's JSON value to its entries in an index, as bytes that order booleans, numbers and strings, in this order. */
import { string } from '../serde.ts'
import { orderedNumber, textOf } from './key-order.ts'

export type IndexedValue = string | number | boolean

const BOOLEAN = 1
const NUMBER = 2
const STRING = 3
/** More elements than this in one row are not indexed. */
const ELEMENTS_MAX = 256

export function indexKeyOf(value: IndexedValue): Uint8Array {
  if (typeof value === 'boolean') return new Uint8Array([BOOLEAN, value ? 1 : 0])
  const isNumber = typeof value === 'number'
  return tagged(isNumber ? NUMBER : STRING, isNumber ? orderedNumber.encode(value) : string.encode(value))
}

function tagged(tag: number, bytes: Uint8Array): Uint8Array {
  const key = new Uint8Array(1 + bytes.length)
  key[0] = tag
  key.set(bytes, 1)
  return key
}

/** Nothing for values that are not JSON, have nothing at the path, or something that has no order (null, an object). */
export function indexKeysIn(value: Uint8Array | null, path: string): Uint8Array[] {
  return value === null ? [] : indexKeysAt(parsedJson(value), path)
}

/** Of a value that was parsed; undefined: it could not be. */
export function indexKeysAt(parsed: unknown, path: string): Uint8Array[] {
  const found = valueAt(parsed, path)
  const elements = Array.isArray(found) ? found.slice(0, ELEMENTS_MAX) : [found]
  const keys = elements.filter(isIndexed).map(indexKeyOf)
  return keys.length < 2 ? keys : [...new Map(keys.map((key) => [textOf(key), key])).values()]
}

function isIndexed(value: unknown): value is IndexedValue {
  return typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && !Number.isNaN(value))
}

export function parsedJson(value: Uint8Array): unknown {
  try {
    return JSON.parse(string.decode(value))
  } catch {
    // Others write to the topic too: such a row is in the table, and in no index.
    return undefined
  }
}

function valueAt(value: unknown, path: string): unknown {
  let at = value
  for (const step of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined
    at = (at as Record<string, unknown>)[step]
  }
  return at
}
