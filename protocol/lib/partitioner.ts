/**
 * Which partition a key belongs to, as in Kafka's default partitioner: murmur2 of the key's bytes, sign bit cleared,
 * modulo the partition count. Every client of a topic must agree on this, or records of one key lose their order.
 */
const SEED = 0x9747b28c
const MULTIPLIER = 0x5bd1e995
const ROTATION = 24

export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length
  let hash = SEED ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    word = Math.imul(word, MULTIPLIER)
    word ^= word >>> ROTATION
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(word, MULTIPLIER)
  }
  const tail = length - at
  if (tail === 3) hash ^= bytes[at + 2]! << 16
  if (tail >= 2) hash ^= bytes[at + 1]! << 8
  if (tail >= 1) hash = Math.imul(hash ^ bytes[at]!, MULTIPLIER)
  hash ^= hash >>> 13
  hash = Math.imul(hash, MULTIPLIER)
  return hash ^ (hash >>> 15)
}

export function partitionForKey(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount
}
