import { expect, test } from 'vitest'
import { murmur2, partitionForKey } from '../../protocol/lib/partitioner.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)

// The values that Kafka's own tests state, so that every client sends a key to the same partition.
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('murmur2 of %j is Kafka’s', (text, expected) => {
  expect(murmur2(bytesOf(text))).toBe(expected)
})

test('a key’s partition is never negative', () => {
  for (const key of ['21', 'foobar', 'abc', '']) {
    const partition = partitionForKey(bytesOf(key), 7)
    expect(partition).toBeGreaterThanOrEqual(0)
    expect(partition).toBeLessThan(7)
  }
})
