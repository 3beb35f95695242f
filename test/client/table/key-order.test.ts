/** The order of keys in tables and of values in their indexes. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { string } from '../../../client/serde.ts'
import { edgeOf, endOf, entryOf, placeIn, prefixOf } from '../../../client/table/idb-entry.ts'
import { indexKeyOf, indexKeysIn } from '../../../client/table/index-key.ts'
import { compareBytes, endOfPrefix, isWithin, orderedNumber, successorOf } from '../../../client/table/key-order.ts'

test('[TAB-15] bytes of numbers compare as the numbers, and come back as they were', () => {
  const number = fc.double({ noNaN: true })
  fc.assert(
    fc.property(number, number, (a, b) => {
      const order = compareBytes(orderedNumber.encode(a), orderedNumber.encode(b))
      expect(Math.sign(order)).toBe(a === b ? 0 : a < b ? -1 : 1)
      expect(orderedNumber.decode(orderedNumber.encode(a))).toBe(a + 0)
    }),
  )
  expect(() => orderedNumber.encode(Number.NaN)).toThrow('NaN')
  expect(() => orderedNumber.decode(new Uint8Array(3))).toThrow('8 bytes')
})

test('[TAB-15] a prefix covers what begins with it, and nothing else', () => {
  const bytes = fc.uint8Array({ maxLength: 4 })
  fc.assert(
    fc.property(bytes, bytes, (prefix, key) => {
      const begins = key.length >= prefix.length && prefix.every((byte, index) => key[index] === byte)
      expect(isWithin(key, { from: prefix, to: endOfPrefix(prefix) })).toBe(begins)
    }),
  )
  expect(isWithin(string.encode('a'), { from: string.encode('a'), to: successorOf(string.encode('a')) })).toBe(true)
})

test('[TAB-15] entries are in the order of index, value and key, whatever bytes these have, and a value lies between its edges', () => {
  const bytes = fc.uint8Array({ maxLength: 3 })
  const part = fc.oneof(
    bytes,
    fc.array(fc.constantFrom(0, 1, 254, 255), { maxLength: 3 }).map((all) => Uint8Array.from(all)),
  )
  const place = fc.tuple(fc.constantFrom('a', 'a\0', 'a\u0001', 'ab', 'é'), part, part)
  fc.assert(
    fc.property(place, place, ([indexA, atA, keyA], [indexB, atB, keyB]) => {
      const prefix = prefixOf('T', indexA)
      const entry = entryOf(prefix, { at: atA, key: keyA })
      const other = entryOf(prefixOf('T', indexB), { at: atB, key: keyB })
      const inOrder =
        compareBytes(string.encode(indexA), string.encode(indexB)) || compareBytes(atA, atB) || compareBytes(keyA, keyB)
      expect(entry < other ? -1 : entry > other ? 1 : 0).toBe(Math.sign(inOrder))
      expect(placeIn(prefix, entry)).toEqual(atA)
      expect(placeIn(prefix, other)).toEqual(indexA === indexB ? atB : undefined)
      expect(entry >= edgeOf(prefix, atB)).toBe(compareBytes(atA, atB) >= 0)
      expect(entry > prefix && entry < endOf(prefix)).toBe(true)
    }),
  )
})

test('[TAB-15] an index orders booleans, numbers, strings; what has no order is not in it', () => {
  const values = [false, true, -1, 0, 9, 10, '', 'a', 'é']
  const keys = values.map(indexKeyOf)
  expect([...keys].sort(compareBytes)).toEqual(keys)
  const at = (value: unknown, path: string) => indexKeysIn(string.encode(JSON.stringify(value)), path).length
  expect([at({ a: { b: 1 } }, 'a.b'), at({ a: [1, 2, 1] }, 'a'), at({ a: null }, 'a'), at(5, 'a')]).toEqual([
    1, 2, 0, 0,
  ])
  expect(at({}, 'constructor')).toBe(0)
  expect(indexKeysIn(string.encode('no JSON'), 'a')).toEqual([])
})
