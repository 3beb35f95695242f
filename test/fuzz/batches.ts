/**
 * Record batches, valid and bad. What is changed inside the part that the checksum covers gets a new checksum, so that
 * it is met by more than the checksum's own test.
 */
import { gzipSync } from 'node:zlib'
import { Writer } from '../../protocol/bytes/writer.ts'
import { concatenate } from '../../protocol/compression.ts'
import { BATCH_HEADER_BYTES, batchSizeAt, CRC_COVERS_FROM, sealBatch, viewOf } from '../../protocol/record-batch.ts'
import { encodeBatch } from '../../protocol/records.ts'
import type { Draw } from './draw.ts'
import { edgeOf, nudged } from './integers.ts'
import type { KnownValues } from './known-values.ts'

const AT_ATTRIBUTES = 21
const AT_PRODUCER_ID = 43
/** Where each field of the header lies, and how long it is. */
const FIELDS: ReadonlyArray<[at: number, sizeBytes: number]> = [
  [0, 8],
  [8, 4],
  [12, 4],
  [16, 1],
  [17, 4],
  [21, 2],
  [23, 4],
  [27, 8],
  [35, 8],
  [43, 8],
  [51, 2],
  [53, 4],
  [57, 4],
]

export function randomBatch(draw: Draw, known: KnownValues): Uint8Array {
  const records = Array.from({ length: 1 + draw.few(4) }, (_, index) => ({
    key: draw.chance(0.3) ? null : Buffer.from(`k${draw.below(5)}`),
    value: draw.chance(0.2) ? null : Buffer.from('v'.repeat(draw.few(200))),
    timestamp: 1_700_000_000_000 + index,
    headers: draw.chance(0.3) ? [{ key: 'h', value: draw.chance(0.5) ? null : Buffer.from('x') }] : [],
  }))
  const plain = encodeBatch(records)
  const batch = draw.chance(0.4) ? compressed(plain, draw) : plain
  if (draw.chance(0.3)) stampAtRandom(batch, draw, known)
  return batch
}

/** Producer id, epoch and sequence, that a relay may have given out. */
function stampAtRandom(batch: Uint8Array, draw: Draw, known: KnownValues): void {
  batch.set(known.pick('producerId', 8, draw) ?? new Uint8Array(8), AT_PRODUCER_ID)
  batch.set([0, draw.below(3), 0, 0, 0, draw.below(4)], AT_PRODUCER_ID + 8)
  sealBatch(batch)
}

/** The first of the batches is changed, those behind it stay. */
export function mutatedBatches(bytes: Uint8Array, draw: Draw): Uint8Array {
  if (bytes.length < BATCH_HEADER_BYTES) return draw.random.bytes(draw.below(200))
  const end = Math.min(Math.max(batchSizeAt(viewOf(bytes), 0), BATCH_HEADER_BYTES), bytes.length)
  const first = mutatedBatch(bytes.slice(0, end), draw)
  return end === bytes.length ? first : concatenate([first, bytes.subarray(end)])
}

function mutatedBatch(bytes: Uint8Array, draw: Draw): Uint8Array {
  let batch = bytes
  let isSealed = true
  switch (draw.below(9)) {
    case 0:
    case 1: {
      const [at, sizeBytes] = draw.from(FIELDS)
      const before = batch.slice(at, at + sizeBytes)
      batch.set(draw.chance(0.5) ? edgeOf(sizeBytes, draw) : nudged(before, draw.below(5) - 2), at)
      isSealed = at >= CRC_COVERS_FROM
      break
    }
    case 2: {
      // Inside the records: lengths, counts, deltas.
      const at = BATCH_HEADER_BYTES + draw.below(Math.max(1, batch.length - BATCH_HEADER_BYTES))
      if (at < batch.length) batch[at] = draw.from([0, 1, 0x7f, 0x80, 0xff, draw.below(256)])
      break
    }
    case 3: {
      const cut = BATCH_HEADER_BYTES + draw.below(batch.length - BATCH_HEADER_BYTES + 1)
      batch = withLength(batch.slice(0, cut))
      break
    }
    case 4:
      batch = withRecords(batch, draw.from(bombs()), 1 + draw.below(4))
      break
    case 5: {
      const [codec, block] = draw.from(bombs())
      batch = withRecords(batch, [draw.chance(0.5) ? codec : 1 + draw.below(7), spoiled(block, draw)], 1)
      break
    }
    case 6:
      // Two, or one and a part of the next.
      return concatenate([batch, batch.slice(0, draw.chance(0.5) ? batch.length : draw.below(batch.length))])
    case 7:
      viewOf(batch).setInt16(AT_ATTRIBUTES, draw.from([0x10, 0x20, 0x30, 0x08, 0x40, 0x07, -1]))
      break
    default:
      batch = withLength(concatenate([batch, draw.random.bytes(draw.below(64))]))
  }
  if (isSealed && batch.length >= BATCH_HEADER_BYTES && !draw.chance(0.1)) sealBatch(batch)
  return batch
}

function withLength(batch: Uint8Array): Uint8Array {
  if (batch.length >= 12) viewOf(batch).setInt32(8, batch.length - 12)
  return batch
}

function withRecords(batch: Uint8Array, [codec, block]: Bomb, records: number): Uint8Array {
  const made = withLength(concatenate([batch.subarray(0, BATCH_HEADER_BYTES), block]))
  const view = viewOf(made)
  view.setInt16(AT_ATTRIBUTES, codec)
  view.setInt32(23, records - 1)
  view.setInt32(57, records)
  return made
}

function spoiled(block: Uint8Array, draw: Draw): Uint8Array {
  const bytes = block.slice(0, 1 + draw.below(Math.min(block.length, 400)))
  for (let changes = draw.few(4); changes > 0; changes--) bytes[draw.below(bytes.length)] = draw.below(256)
  return bytes
}

// --- compression -------------------------------------------------------------------------------------------------

/** The batch with its records in a codec's form that needs no compressor: stored blocks, literals. */
function compressed(batch: Uint8Array, draw: Draw): Uint8Array {
  const records = batch.subarray(BATCH_HEADER_BYTES)
  const codec = 1 + draw.below(4)
  const view = viewOf(batch)
  const made = withRecords(batch, [codec, stored(codec, records)], view.getInt32(57))
  sealBatch(made)
  return made
}

function stored(codec: number, block: Uint8Array): Uint8Array {
  if (codec === 1) return gzipSync(block)
  const writer = new Writer(block.length + 32)
  if (codec === 2) {
    writer.uvarint(block.length)
    writer.bytes(Uint8Array.of(62 << 2, block.length - 1, (block.length - 1) >> 8, (block.length - 1) >> 16))
    writer.bytes(block)
  } else if (codec === 3) {
    writer.bytes(Uint8Array.of(...LZ4_FRAME, block.length, block.length >> 8, block.length >> 16, 0x80))
    writer.bytes(block)
    writer.int32(0)
  } else {
    const header = (block.length << 3) | 1
    writer.bytes(Uint8Array.of(...ZSTD_FRAME, header, header >> 8, header >> 16))
    writer.bytes(block)
  }
  return writer.finish().slice()
}

const LZ4_FRAME = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]
/** Window of 1 MiB. */
const ZSTD_FRAME = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50]

export type Bomb = [codec: number, block: Uint8Array]
let made: Bomb[] | undefined

/** Small blocks that grow to hundreds of MiB, one or more for each codec. */
export function bombs(): readonly Bomb[] {
  made ??= [
    [1, gzipSync(new Uint8Array(64 * 1024 * 1024), { level: 9 })],
    [2, snappyBomb()],
    [3, lz4Bomb()],
    [4, zstdBomb(2000)],
  ]
  return made
}

/** A batch that says it holds one record, with a checksum that is right. */
export function bombBatch(bomb: Bomb): Uint8Array<ArrayBuffer> {
  const empty = encodeBatch([{ key: Buffer.from('k'), value: null, timestamp: 1_700_000_000_000 }])
  const batch = withRecords(empty, bomb, 1)
  sealBatch(batch)
  return Uint8Array.from(batch)
}

/** Copies of 64 bytes from one byte back, three bytes each. */
function snappyBomb(): Uint8Array {
  const copies = 20_000
  const writer = new Writer(copies * 3 + 16)
  writer.uvarint(1 + copies * 64)
  writer.bytes(Uint8Array.of(0, 0x41))
  for (let count = 0; count < copies; count++) writer.bytes(Uint8Array.of((63 << 2) | 2, 1, 0))
  return writer.finish()
}

/** One copy whose length takes 255 more with each byte. */
function lz4Bomb(): Uint8Array {
  const more = 60_000
  const size = 1 + 1 + 2 + more + 1
  const writer = new Writer(size + 64)
  writer.bytes(Uint8Array.of(...LZ4_FRAME, size, size >> 8, size >> 16, 0))
  writer.bytes(Uint8Array.of(0x1f, 0x41, 1, 0))
  writer.bytes(new Uint8Array(more).fill(0xff))
  writer.int8(0)
  writer.int32(0)
  return writer.finish()
}

/** Blocks of one byte, 128 KiB times. */
function zstdBomb(blocks: number): Uint8Array {
  const writer = new Writer(blocks * 4 + 16)
  writer.bytes(Uint8Array.from(ZSTD_FRAME))
  for (let index = 0; index < blocks; index++) {
    const header = ((128 * 1024) << 3) | (1 << 1) | (index === blocks - 1 ? 1 : 0)
    writer.bytes(Uint8Array.of(header, header >> 8, header >> 16, 0x41))
  }
  return writer.finish()
}
