/**
 * Snappy, LZ4 and Zstandard blocks, written by the formats' own libraries, and blocks that are broken or mean harm.
 * The fixtures hold `expected` each.
 */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32c } from '../../protocol/bytes/crc32c.ts'
import { MalformedError } from '../../protocol/bytes/reader.ts'
import { lz4 } from '../../protocol/codecs/lz4.ts'
import { OutputBuffer } from '../../protocol/codecs/output-buffer.ts'
import { readWriteCodecs } from '../../protocol/codecs/read-write.ts'
import { snappy } from '../../protocol/codecs/snappy.ts'
import { standardCodecs } from '../../protocol/codecs/standard.ts'
import { zstd } from '../../protocol/codecs/zstd.ts'
import { type Codec, concatenate, gzip, inflatedBytesMax } from '../../protocol/compression.ts'

const MIB = 1024 * 1024
const lines = Array.from({ length: 400 }, (_, index) => `{"id":${index},"name":"name ${index % 7}","ok":true}\n`)
const expected = new TextEncoder().encode(lines.join(''))
const fixture = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../fixtures/codecs/${name}`, import.meta.url))) as Uint8Array<ArrayBuffer>

const FIXTURES: ReadonlyArray<[name: string, codec: Codec]> = [
  ['block.snappy', snappy],
  ['chain.xerial.snappy', snappy],
  ['frame.lz4', lz4],
  ['frame.zst', zstd],
  ['two-frames.zst', zstd],
]

describe.each(FIXTURES)('%s', (name, codec) => {
  test('[COD-1] inflates to what went in', async () => {
    expect(await codec.decompress(fixture(name), expected.length)).toEqual(expected)
  })

  test('[COD-2] is refused when it grows beyond the limit by a byte', async () => {
    await expect(codec.decompress(fixture(name), expected.length - 1)).rejects.toThrow(MalformedError)
  })

  test('[COD-3] cut or changed anywhere it gives bytes within the limit, or is refused as malformed', async () => {
    const good = fixture(name)
    const mutated = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), fc.nat(good.length))
    await fc.assert(
      fc.asyncProperty(mutated, async ([at, flip, length]) => {
        const bad = good.slice(0, Math.max(length, at + 1))
        bad[at]! ^= flip
        const outcome = await codec.decompress(bad, MIB).catch((error: unknown) => error)
        if (outcome instanceof Uint8Array) expect(outcome.length).toBeLessThanOrEqual(MIB)
        else expect(outcome).toBeInstanceOf(MalformedError)
      }),
      { numRuns: 300, seed: 7 },
    )
  })
})

test('[COD-4] bombs are refused, and the memory that they declare is never taken', async () => {
  const bombs: Array<[name: string, codec: Codec, block: Uint8Array]> = [
    // 4 GiB declared, one byte there.
    ['snappy', snappy, Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x61)],
    ['snappy copies', snappy, snappyBomb(200_000)],
    ['lz4', lz4, lz4Bomb(1_000_000)],
    ['zstd run lengths', zstd, zstdRuns(50_000)],
    // A window of 1.9 GiB, and nothing behind it.
    ['zstd window', zstd, Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0xa7, 1, 0, 0)],
    ['zstd size', zstd, Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0x70, 0, 0, 0, 0, 1, 0, 0)],
  ]
  for (const [name, codec, block] of bombs) {
    const before = process.memoryUsage().arrayBuffers
    const outcome = await codec.decompress(block, 4 * MIB).catch((error: unknown) => error)
    const length = outcome instanceof Uint8Array ? outcome.length : 0
    if (length > 0 || !(outcome instanceof Uint8Array)) expect(outcome, name).toBeInstanceOf(MalformedError)
    expect(process.memoryUsage().arrayBuffers - before, name).toBeLessThan(64 * MIB)
  }
})

test('[COD-11] a small block may grow to 8 MiB, a large one to 200 times its size, none to more than 64 MiB', async () => {
  expect([10, 41_943, 100_000, MIB].map(inflatedBytesMax)).toEqual([8 * MIB, 8_388_608, 20_000_000, 64 * MIB])
  const bomb = zstdRuns(1000)
  await expect(zstd.decompress(bomb, inflatedBytesMax(bomb.length))).rejects.toThrow(`beyond ${8 * MIB} bytes`)
})

test('[COD-5] many empty zstd blocks behind a large window do not hold the reader up', async () => {
  const blocks = new Uint8Array(3 * 300_000)
  blocks[blocks.length - 3] = 1
  const frame = concatenate([Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0x68), blocks])
  const startedAt = performance.now()
  expect(await zstd.decompress(frame, MIB).catch(() => 'refused')).toSatisfy(
    (outcome) => outcome === 'refused' || (outcome as Uint8Array).length === 0,
  )
  expect(performance.now() - startedAt).toBeLessThan(2000)
})

test('[COD-6] an lz4 block may reach back into the block before it', async () => {
  const linked = Uint8Array.of(
    ...[0x04, 0x22, 0x4d, 0x18, 0x40, 0x40, 0],
    ...[0x06, 0, 0, 0, 0x50, 0x61, 0x62, 0x63, 0x64, 0x65],
    // Nothing new, then 8 bytes from 5 back; a last literal.
    ...[0x05, 0, 0, 0, 0x04, 0x05, 0x00, 0x10, 0x21],
    ...[0, 0, 0, 0],
  )
  expect(new TextDecoder().decode(await lz4.decompress(linked, 100))).toBe('abcdeabcdeabc!')
  const standAlone = linked.slice()
  standAlone[4] = 0x60
  await expect(lz4.decompress(standAlone, 100)).rejects.toThrow(MalformedError)
})

test('[COD-7] the registry loads a codec once, and only when it is asked for', async () => {
  const codecs = standardCodecs()
  expect(await codecs.find(1)).toBe(gzip)
  expect([await codecs.find(2), await codecs.find(3), await codecs.find(4)]).toEqual([snappy, lz4, zstd])
  expect(await codecs.find(2)).toBe(snappy)
})

test('[COD-8] an output buffer copies what it is just writing, and not from before its start', () => {
  const output = new OutputBuffer(10)
  output.append(Uint8Array.of(1, 2))
  output.copyBack(2, 5)
  expect([...output.take()]).toEqual([1, 2, 1, 2, 1, 2, 1])
  expect(() => output.copyBack(8, 1)).toThrow(MalformedError)
  expect(() => output.copyBack(0, 1)).toThrow(MalformedError)
  expect(() => output.copyBack(1, 4)).toThrow('beyond 10 bytes')
})

test('[COD-9] what is written is read back, whatever it is', async () => {
  const codecs = readWriteCodecs()
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.tuple(fc.nat(255), fc.nat(70_000)).map(([byte, count]) => new Uint8Array(count).fill(byte)),
    fc.nat(expected.length).map((length) => expected.subarray(0, length)),
    fc.nat(140_000).map((count) => Uint8Array.from({ length: count }, (_, index) => (index * index) >>> 5)),
  )
  for (const id of [1, 2, 3, 4] as const) {
    const codec = await codecs.find(id)
    const comesBack = async (pieces: Uint8Array[]) => {
      const block = concatenate(pieces)
      const written = await codec.compress!(block)
      expect(Buffer.compare(await codec.decompress(written, block.length), block)).toBe(0)
    }
    await fc.assert(fc.asyncProperty(fc.array(piece, { maxLength: 6 }), comesBack), { numRuns: 40, seed: 9 })
    await comesBack([new Uint8Array(0)])
    expect((await codec.compress!(expected)).length).toBeLessThan(expected.length / 2)
  }
})

test('[COD-10] the writers write what the tools of each format read', async () => {
  // Checked once with lz4 1.9.4, zstd 1.5.4 and the snappy of python-snappy; the same bytes ever since.
  const codecs = readWriteCodecs()
  const checksums = await Promise.all(
    ([2, 3, 4] as const).map(async (id) => crc32c(await (await codecs.find(id)).compress!(expected))),
  )
  expect(checksums).toEqual([2571975826, 4203183863, 2064460994])
})

/** One literal, then copies of 64 bytes in three bytes each. */
function snappyBomb(copies: number): Uint8Array {
  const length = 1 + copies * 64
  const varint = [length & 0x7f, (length >> 7) & 0x7f, (length >> 14) & 0x7f, length >> 21].map((byte, index) =>
    index < 3 ? byte | 0x80 : byte,
  )
  const copy = [0xfe, 0x01, 0x00]
  return Uint8Array.from([...varint, 0x00, 0x61, ...Array.from({ length: copies }, () => copy).flat()])
}

/** One literal, then one copy whose length is told in bytes of 255. */
function lz4Bomb(lengthBytes: number): Uint8Array {
  const block = concatenate([
    Uint8Array.of(0x1f, 0x61, 0x01, 0x00),
    new Uint8Array(lengthBytes).fill(255),
    Uint8Array.of(0),
  ])
  const size = [0, 8, 16, 24].map((shift) => (block.length >>> shift) & 0xff)
  return concatenate([Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0, ...size), block, new Uint8Array(4)])
}

/** Blocks of four bytes that stand for 128 KiB each. */
function zstdRuns(count: number): Uint8Array {
  const run = (isLast: number) => {
    const header = (131_072 << 3) | (1 << 1) | isLast
    return [header & 0xff, (header >> 8) & 0xff, (header >> 16) & 0xff, 0x61]
  }
  const blocks = Array.from({ length: count }, (_, index) => run(Number(index === count - 1))).flat()
  return Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0x38, ...blocks])
}
