/** Which rows are meant, in the words of an application, as an interval of bytes. */
import { OttlaError } from '../errors.ts'
import type { Serde } from '../serde.ts'
import { type IndexedValue, indexKeyOf, indexKeysIn } from './index-key.ts'
import { endOfPrefix, isWithin, successorOf } from './key-order.ts'
import type { TableDefinition, TableRow, TableSelection } from './seam.ts'

/** Bounds are `from` (included) to `to` (not); nothing set: all rows. */
export interface KeySelection<K> {
  key?: K
  from?: K
  to?: K
  /** Keys that begin with these bytes; for `string` keys, with this text. */
  prefix?: K
}

/** By an index: rows in the order of what the index says, and of their keys where that is the same. */
export interface IndexSelection {
  index: string
  equals?: IndexedValue
  from?: IndexedValue
  to?: IndexedValue
  prefix?: string
}

export type Selection<K> = KeySelection<K> | IndexSelection

/** Throws INVALID_ARGUMENT for an index that the table does not have, INVALID_VALUE for a key that cannot be encoded. */
export function selectionOf<K>(selection: Selection<K>, key: Serde<K>, definition: TableDefinition): TableSelection {
  if (!('index' in selection))
    return { index: null, ...intervalOf({ ...selection, equals: selection.key }, encoderOf(key)) }
  const { index, ...bounds } = selection
  if (!Object.hasOwn(definition.indexes, index)) {
    throw new OttlaError('INVALID_ARGUMENT', {
      message: `the table of ${definition.topic} has no index '${index}'`,
      hint: "name it in the table's `indexes`",
    })
  }
  return { index, ...intervalOf(bounds, indexKeyOf) }
}

interface Bounds<T> {
  equals?: T | undefined
  from?: T | undefined
  to?: T | undefined
  prefix?: T | undefined
}

function intervalOf<T>({ equals, from, to, prefix }: Bounds<T>, encode: (value: T) => Uint8Array) {
  if (equals !== undefined) {
    const at = encode(equals)
    return { from: at, to: successorOf(at) }
  }
  if (prefix !== undefined) {
    const start = encode(prefix)
    return { from: start, to: endOfPrefix(start) }
  }
  return { from: from === undefined ? null : encode(from), to: to === undefined ? null : encode(to) }
}

export function encoderOf<K>(serde: Serde<K>): (key: K) => Uint8Array {
  return (key) => {
    try {
      return serde.encode(key)
    } catch (cause) {
      throw new OttlaError('INVALID_VALUE', { message: `the key ${String(key)} cannot be encoded`, cause })
    }
  }
}

/** Whether a row is one of those. */
export function isSelected(row: TableRow | null, selection: TableSelection, { indexes }: TableDefinition): boolean {
  if (!row || row.value === null) return false
  const { index } = selection
  const places = index === null ? [row.key] : indexKeysIn(row.value, indexes[index] ?? '')
  return places.some((at) => isWithin(at, selection))
}
