/** The hash by which a pass knows keys: another implementation's figures, and no two keys alike. */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { KeyHash, SECRET_BYTES } from '../../../server/log/compaction/key-hash.ts'

const counting = (length: number) => Uint8Array.from({ length }, (_, index) => index)

function hashOf(hash: KeyHash, bytes: Uint8Array): string {
  hash.make(bytes)
  const out = new DataView(new ArrayBuffer(16))
  for (const [word, value] of hash.words.entries()) out.setInt32(word * 4, value, true)
  return Buffer.from(out.buffer).toString('hex')
}

describe('hashes of keys', () => {
  test('[CMP-22] they are SipHash-2-4 with 128 bits', () => {
    const hash = new KeyHash(counting(SECRET_BYTES))
    expect(hashOf(hash, counting(0))).toBe('a3817f04ba25a8e66df67214c7550293')
    expect(hashOf(hash, counting(1))).toBe('da87c1d86b99af44347659119b22fc45')
    expect(hashOf(hash, counting(2))).toBe('8177228da4a45dc7fca38bdef60affe4')
    expect(hashOf(hash, counting(3))).toBe('9c70b60c5267a94e5f33b6b02985ed51')
  })

  test('[CMP-22] keys that differ in a bit, in length or in zeros have other hashes, and so have other secrets', () => {
    const random = seededRandom(3)
    const hash = new KeyHash(random.bytes(SECRET_BYTES))
    const seen = new Set<string>()
    let made = 0
    const add = (key: Uint8Array, by = hash) => {
      made++
      seen.add(hashOf(by, key))
    }
    for (let length = 0; length <= 40; length++) {
      add(new Uint8Array(length))
      const key = random.bytes(length + 41)
      add(key)
      add(key, new KeyHash(random.bytes(SECRET_BYTES)))
      for (let bit = 0; bit < key.length * 8; bit++) {
        key[bit >> 3]! ^= 1 << (bit & 7)
        add(key)
        key[bit >> 3]! ^= 1 << (bit & 7)
      }
    }
    expect(seen.size).toBe(made)
  })
})
