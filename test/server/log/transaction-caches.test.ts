/** What is known of transactions is a cache of the log: lost or damaged in whatever combination, it is made anew. */
import { expect, test } from 'vitest'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { randomBelow, seededRandom } from '../../../protocol/lib/random.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { batchOf } from '../../support/batches.ts'
import { InterleavedTransactions } from '../../support/transactions.ts'
import { LOG_DIR, openSmall } from './crash-workload.ts'
import { damage, flipBit, killed, openLog } from './log-fixture.ts'
import { checkTransactions, endOpenTransactions } from './transaction-model.ts'

const random = seededRandom(69)

/** Many small segments, closed or killed. */
async function writtenLog(isClosed: boolean): Promise<MemoryFiles> {
  const files = new MemoryFiles({ tracksPower: true })
  const clock = new HandClock()
  const log = await openLog({ files, clock, dir: LOG_DIR, config: { segmentBytes: 3000 }, checkpointBytes: 1000 })
  const account = new InterleavedTransactions(log, random, 8)
  for (let step = 0; step < 300; step++) await account.step()
  await account.written()
  await log.deleteRecordsBefore(randomBelow(random, log.highWatermark / 3))
  if (!isClosed) return killed(files, clock)
  await log.close()
  return killed(files, clock)
}

const copyOf = (files: MemoryFiles): MemoryFiles =>
  files.powerCut('kept', { next: () => 0, bytes: (count) => new Uint8Array(count) })

async function check(files: MemoryFiles): Promise<void> {
  const log = await openSmall(files)
  expect(log.fault).toBeUndefined()
  await checkTransactions(log)
  await endOpenTransactions(log)
  await log.close()
}

const KINDS = [/\.snapshot$/, /\.index$/, /^manifest$/, /^(clean|synced)$/]

test.each([true, false])(
  '[LOG-69] transactions are rebuilt whatever cache is lost (closed in order: %s)',
  async (isClosed) => {
    const files = await writtenLog(isClosed)
    const names = await files.list(LOG_DIR)
    const losses = [
      ...KINDS.map((kind) => names.filter((name) => kind.test(name))),
      ...KINDS.slice(0, 3).map((kind) => names.filter((name) => !kind.test(name) && !name.endsWith('.log'))),
      names.filter((name) => !name.endsWith('.log')),
      ...Array.from({ length: 12 }, () => names.filter((name) => !name.endsWith('.log') && random.next() < 0.4)),
    ]
    expect(names.filter((name) => name.endsWith('.log')).length).toBeGreaterThan(5)
    for (const lost of losses) {
      const copy = copyOf(files)
      for (const name of lost) await copy.remove(`${LOG_DIR}/${name}`)
      await check(copy)
    }
  },
  60_000,
)

test('[LOG-69] a damaged index or snapshot is not believed in what it says of transactions', async () => {
  const files = await writtenLog(true)
  const names = (await files.list(LOG_DIR)).filter((name) => /\.(snapshot|index)$/.test(name))
  for (const name of names) {
    const copy = copyOf(files)
    await damage(copy, name, (bytes) => flipBit(bytes, randomBelow(random, bytes.length)), LOG_DIR)
    await check(copy)
  }
}, 60_000)

test('[LOG-69] an index that another version wrote without aborted transactions is made anew', async () => {
  const files = new MemoryFiles()
  let log = await openLog({ files, config: { segmentBytes: 200 } })
  await log.append(batchOf(['aborted'], { producer: { id: 7, sequence: 0, isTransactional: true } })).durable
  await log.appendMarker({ producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, outcome: 'abort' }).durable
  for (let index = 0; index < 5; index++) await log.append(batchOf([`plain ${index}`])).durable
  await log.close()
  const sealed = (await files.list(log.dir)).filter((name) => name.endsWith('.index'))
  for (const name of sealed) await files.remove(`${log.dir}/${name}`)
  log = await openLog({ files, config: { segmentBytes: 200 } })
  await checkTransactions(log)
  expect((await log.readCommitted(0, 1000)).aborted).toEqual([{ producerId: 7, firstOffset: 0, lastOffset: 1 }])
  await log.close()
})
