/** What `verify` says of transactions: nothing about sound logs, and exactly what is wrong with others. */
import { expect, test } from 'vitest'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { sealBatch, viewOf, writeBaseOffset } from '../../../protocol/record-batch.ts'
import { encodeMarker } from '../../../protocol/transaction-marker.ts'
import { readManifest, writeManifest } from '../../../server/log/manifest.ts'
import { encodeProducerSnapshot } from '../../../server/log/producer-snapshot.ts'
import { ProducerTable } from '../../../server/log/producer-state.ts'
import { SparseIndex } from '../../../server/log/sparse-index.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { batchOf } from '../../support/batches.ts'
import { InterleavedTransactions } from '../../support/transactions.ts'
import { DIR, damage, findings, killed, openLog } from './log-fixture.ts'

const inTransaction = (value: string, sequence: number, epoch = 0) =>
  batchOf([value], { producer: { id: 7, epoch, sequence, isTransactional: true } })

const abort = { producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, outcome: 'abort' as const }

/** Offsets 0 and 1 aborted by the marker at 2, open since 3; closed in order, one segment. */
async function closedLog(): Promise<MemoryFiles> {
  const files = new MemoryFiles()
  const log = await openLog({ files })
  await log.append(inTransaction('a', 0)).durable
  await log.append(inTransaction('b', 1)).durable
  await log.appendMarker(abort).durable
  await log.append(inTransaction('c', 2)).durable
  await log.close()
  expect(await findings(files)).toEqual([])
  return files
}

test('[LOG-70] verify finds nothing wrong with transactions, in a closed log and in a killed one', async () => {
  for (const seed of [1, 2, 3]) {
    const files = new MemoryFiles({ tracksPower: true })
    const clock = new HandClock()
    const log = await openLog({ files, clock, config: { segmentBytes: 3000 }, checkpointBytes: 1000 })
    const account = new InterleavedTransactions(log, seededRandom(seed), 8)
    for (let step = 0; step < 200; step++) await account.step()
    await account.written()
    await log.deleteRecordsBefore(Math.floor(log.highWatermark / 3))
    expect(await findings(await killed(files, clock))).toEqual([])
    await log.close()
    expect(await findings(files)).toEqual([])
  }
})

test('[LOG-70] verify tells an index that names other aborted transactions than the log holds', async () => {
  const name = `${'0'.repeat(20)}.index`
  for (const [aborted, message] of [
    [[], /lacks the transaction of producer 7 that was aborted at offset 2/],
    [[{ producerId: 7, firstOffset: 1, lastOffset: 2 }], /producer 7 aborted .* from offset 1 to 2; the log says/],
    [[{ producerId: 8, firstOffset: 0, lastOffset: 2 }], /producer 8 aborted .* from offset 0 to 2; the log says/],
    [[{ producerId: 7, firstOffset: 3, lastOffset: 3 }], /producer 7 aborted .* from offset 3 to 3; the log says/],
  ] as const) {
    const files = await closedLog()
    await damage(files, name, (bytes) => {
      const bounds = { baseOffset: 0, endOffset: 4, sizeBytes: viewOf(bytes).getFloat64(24) }
      const index = SparseIndex.decode(bytes, bounds)!
      const changed = new SparseIndex()
      for (const { offset, position } of index.entries()) changed.add(offset, position, index.maxTimestamp)
      for (const transaction of aborted) changed.aborted.add(transaction)
      return changed.encode(bounds)
    })
    const found = await findings(files)
    expect(found).toContainEqual(
      expect.objectContaining({ severity: 'error', file: name, message: expect.stringMatching(message) }),
    )
  }
})

test('[LOG-70] verify tells a manifest and a snapshot that know other transactions than the log holds', async () => {
  const files = new MemoryFiles()
  const log = await openLog({ files, config: { segmentBytes: 200 } })
  await log.append(inTransaction('a', 0)).durable
  await log.appendMarker(abort).durable
  await log.append(inTransaction('b', 1)).durable
  await log.close()
  const read = await readManifest(files, DIR)
  if (read.state !== 'read') throw new Error('no manifest')
  const sealed = read.manifest.sealed.map((segment) => ({ ...segment, abortedFrom: 7 }))
  await writeManifest(files, DIR, { ...read.manifest, sealed })
  const name = `${String(log.endOffset).padStart(20, '0')}.snapshot`
  await damage(files, name, () => encodeProducerSnapshot(new ProducerTable(), log.endOffset))
  const messages = (await findings(files)).map(({ file, message }) => `${file}: ${message}`)
  expect(messages).toContainEqual(expect.stringMatching(/^manifest: transactions aborted in segment 0 begin at/))
  expect(messages).toContainEqual(expect.stringMatching(/snapshot: lacks the transaction of producer 7 .* offset 2/))
})

test('[LOG-70] verify tells control batches that end nothing, and markers that come from the past', async () => {
  const files = await closedLog()
  const fenced = encodeMarker({ ...abort, outcome: 'commit' }, 1_699_999_000_000)
  writeBaseOffset(viewOf(fenced), 0, 5)
  const strange = encodeMarker({ ...abort, producerId: 9 }, 1_699_999_000_000)
  // The record's key: varint length, attributes, two deltas and the key's length stand before it.
  viewOf(strange).setInt16(61 + 5 + 2, 5)
  sealBatch(strange)
  writeBaseOffset(viewOf(strange), 0, 6)
  const newer = inTransaction('d', 0, 1)
  writeBaseOffset(viewOf(newer), 0, 4)
  await damage(files, `${'0'.repeat(20)}.log`, (bytes) => new Uint8Array([...bytes, ...newer, ...fenced, ...strange]))
  const messages = (await findings(files)).map(({ severity, offset, message }) => `${severity} ${offset}: ${message}`)
  expect(messages).toContainEqual('warning 4: epoch 1 of producer 7 wrote into the transaction of epoch 0')
  expect(messages).toContainEqual('error 6: a control batch that is not the end of a transaction')
})
