/** Data folders as past versions wrote them (scripts/make-format-fixture.mjs), opened by this one. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { bytes, connect } from '../../client/index.ts'
import { offsetFetch } from '../../protocol/messages/group-offsets.ts'
import { listTransactions } from '../../protocol/messages/transaction-admin.ts'
import { createRelay } from '../../server/relay.ts'
import { startRelay, temporaryFolder } from '../support/relay.ts'
import { batchOf, RelayClient } from '../support/relay-client.ts'

const folder = fileURLToPath(new URL('../fixtures/formats', import.meta.url))
const fixtures = (await readdir(folder)).sort()

async function unpack(name: string): Promise<string> {
  const dataDir = await temporaryFolder()
  const packed = JSON.parse(await readFile(join(folder, name), 'utf8')) as Record<string, string>
  for (const [path, content] of Object.entries(packed)) {
    await mkdir(dirname(join(dataDir, path)), { recursive: true })
    await writeFile(join(dataDir, path), Buffer.from(content, 'base64'))
  }
  return dataDir
}

async function readAll(url: string, topic: string, partition: number) {
  const ottla = await connect(url)
  try {
    const records: Array<{ offset: number; key: string | undefined; value: string | undefined; headers: string[] }> = []
    const reader = ottla
      .topic(topic, { key: bytes, value: bytes })
      .read({ from: 'beginning', follow: false, partitions: [partition] })
    for await (const { offset, key, value, headers } of reader) {
      const text = (each: Uint8Array | null) => (each ? Buffer.from(each).toString().trim() : undefined)
      records.push({ offset, key: text(key), value: text(value), headers: headers.map((header) => header.key) })
    }
    return records
  } finally {
    await ottla.close()
  }
}

describe('[OPS-8] a folder written by a past format opens with all that was in it', () => {
  test.each(fixtures)('%s', async (name) => {
    const dataDir = await unpack(name)
    const relay = await startRelay({ config: { dataDir } })
    const url = relay.websocket.url
    const hasTransactions = !name.startsWith('1-')
    const names = hasTransactions ? ['orders', 'paid', 'stamped'] : ['orders', 'stamped']
    expect([...relay.engine.topics()].map((topic) => topic.name).sort()).toEqual(names)
    expect(relay.engine.topicByName('stamped')!.configOverrides).toMatchObject({ 'retention.ms': '3600000000' })
    const headers = ['from']
    expect(await readAll(url, 'orders', 0)).toEqual([
      { offset: 3, key: 'c', value: '3 '.repeat(200).trim(), headers },
      { offset: 4, key: 'd', value: '4 '.repeat(200).trim(), headers },
      { offset: 5, key: 'f', value: '5', headers },
      { offset: 6, key: 'f', value: '6', headers },
      { offset: 7, key: 'f', value: '7', headers },
    ])
    expect((await readAll(url, 'orders', 1)).map(({ key }) => key)).toEqual(['e', 'g'])
    const client = await RelayClient.open(url)
    if (hasTransactions) {
      // The last one is still open, and holds back whoever reads what is committed.
      expect((await readAll(url, 'paid', 0)).map(({ key }) => key)).toEqual(['commit'])
      const { transactionStates } = await client.call(listTransactions, {
        stateFilters: ['Ongoing'],
        producerIdFilters: [],
      })
      expect(transactionStates.map(({ transactionalId }) => transactionalId)).toEqual(['opens'])
    }
    const { groups } = await client.call(offsetFetch, { groups: [{ groupId: 'readers', topics: null }] }, 9)
    const committed = groups[0]!.topics.flatMap((topic) => topic.partitions.map((each) => each.committedOffset))
    expect(committed).toEqual([7, 2])
    const log = relay.engine.topicByName('orders')!.partitions[0]!
    expect(log.producers()).toMatchObject([{ producerEpoch: 0, lastSequence: 2 }])
    expect((await client.produce(await client.topicId('orders'), batchOf('new'))).baseOffset).toBe(8)
  })
})

test('[OPS-9] a folder of a newer format is refused with a clear word, and nothing in it changes', async () => {
  const dataDir = await unpack(fixtures.at(-1)!)
  const content = '{"format":1000}\n'
  await writeFile(join(dataDir, 'format'), content)
  const names = await readdir(dataDir, { recursive: true })
  await expect(createRelay({ config: { dataDir, httpPort: 0 } })).rejects.toMatchObject({
    code: 'NEWER_FORMAT',
    message: expect.stringMatching(/newer Ottla \(format 1000\)/),
  })
  expect(await readFile(join(dataDir, 'format'), 'utf8')).toBe(content)
  expect((await readdir(dataDir, { recursive: true })).sort()).toEqual(names.sort())
})
