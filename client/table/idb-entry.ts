/**
 * Where a row lies in an index, as IndexedDB has it: one string, since all entries of a row are copied with it whenever it is
 * read or written, and strings are copied at half the cost of buffers.
 *
 *     topicId 0 index 0 at 0 key
 *
 * Characters are bytes, raised by one. So the end of a part lies in front of whatever else it may go on with, and entries are
 * in the order of their parts.
 */
import { string } from '../serde.ts'
import type { TableCursor } from './seam.ts'

const END_OF_PART = '\0'
/** No character of a part is as high. */
const BEHIND = '\uffff'

/** What all entries of one index have in front. */
export const prefixOf = (topicId: string, index: string): string =>
  topicId + END_OF_PART + raised(string.encode(index)) + END_OF_PART

/** The place in an index from which on rows have `at` or more. */
export const edgeOf = (prefix: string, at: Uint8Array): string => prefix + raised(at)

export const endOf = (prefix: string): string => prefix + BEHIND

export const entryOf = (prefix: string, { at, key }: TableCursor): string =>
  edgeOf(prefix, at) + END_OF_PART + raised(key)

/** Undefined: it is an entry of another index. */
export function placeIn(prefix: string, entry: string): Uint8Array | undefined {
  if (!entry.startsWith(prefix)) return undefined
  const at = new Uint8Array(entry.indexOf(END_OF_PART, prefix.length) - prefix.length)
  for (let index = 0; index < at.length; index++) at[index] = entry.charCodeAt(prefix.length + index) - 1
  return at
}

function raised(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte + 1)
  return text
}
