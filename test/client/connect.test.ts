/** The whole client in one context, against the real relay, over WebSocket and over TCP. */
import 'fake-indexeddb/auto'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { connect, json, type Ottla, string } from '../../client/node.ts'
import { createRelay, type Relay } from '../../server/relay.ts'
import { MemoryFiles } from '../../server/storage/memory-files.ts'
import { eventually } from '../support/eventually.ts'

const opened: Array<{ close(): Promise<void> }> = []
const keep = <T extends { close(): Promise<void> }>(thing: T): T => {
  opened.push(thing)
  return thing
}

afterEach(async () => {
  for (const thing of opened.splice(0).reverse()) await thing.close()
})

/** A port that nobody listens on at this moment. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

const live = (ottla: Ottla) => eventually(() => ottla.status.connection.phase === 'live', { what: 'live' })
let replicas = 0
const replicaName = () => `connect-test-${++replicas}`

describe.each(['ws', 'kafka'] as const)('over %s', (scheme) => {
  /** With its door of that kind on `port`. */
  const startRelay = async (port = 0, files = new MemoryFiles()): Promise<Relay & { url: string }> => {
    const ports = scheme === 'ws' ? { httpPort: port } : { httpPort: 0, kafkaPort: port }
    const relay = keep(await createRelay({ files, config: { dataDir: 'data', ...ports } }))
    return { ...relay, url: scheme === 'ws' ? relay.websocket.url : `kafka://${relay.kafka?.address}` }
  }

  describe('connect', () => {
    test('without a replica waits for the first connection, and fails with it', async () => {
      const ottla = keep(await connect((await startRelay()).url))
      expect(ottla.status.connection.phase).toBe('live')
      const url = `${scheme}://127.0.0.1:${await freePort()}`
      await expect(connect(url)).rejects.toMatchObject({
        code: 'DISCONNECTED',
        message: expect.stringContaining('ECONNREFUSED'),
      })
    })

    test('lazy: returns at once and connects when the relay is there', async () => {
      const port = await freePort()
      const ottla = keep(await connect(`${scheme}://127.0.0.1:${port}`, { lazy: true, backoff: { delayMsFirst: 50 } }))
      expect(ottla.status.connection.phase).not.toBe('live')
      await startRelay(port)
      await live(ottla)
    })

    test('refuses an address that is none, and ends with its signal', async () => {
      await expect(connect('http://example.org')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await expect(connect('no address')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      const signal = AbortSignal.abort()
      await expect(connect((await startRelay()).url, { signal })).rejects.toMatchObject({ code: 'ABORTED' })
    })
  })

  describe('in memory', () => {
    test('what is sent is committed in order and read back, plain and compressed', async () => {
      const ottla = keep(await connect((await startRelay()).url))
      await ottla.admin.createTopics([{ name: 't', partitions: 3 }])
      for (const compression of ['none', 'gzip'] as const) {
        const topic = ottla.topic<string, { n: number }>('t', { value: json(), compression })
        const receipts = topic.sendAll(Array.from({ length: 300 }, (_, n) => ({ key: `key-${n % 7}`, value: { n } })))
        expect(await receipts[0]!.stored).toBe('memory')
        await Promise.all(receipts.map(({ committed }) => committed))
      }
      const seen = new Map<string, number[]>()
      await ottla
        .topic<string, { n: number }>('t', { value: json() })
        .read({ from: 'beginning', follow: false })
        .each(({ key, value }) => {
          seen.set(key!, [...(seen.get(key!) ?? []), value!.n])
        })
      const expected = (start: number) => Array.from({ length: 300 }, (_, n) => n).filter((n) => n % 7 === start)
      for (let start = 0; start < 7; start++) {
        expect(seen.get(`key-${start}`)).toEqual([...expected(start), ...expected(start)])
      }
    })

    test('a record that is too large is parked and does not stop the others', async () => {
      const ottla = keep(await connect((await startRelay()).url))
      await ottla.admin.createTopics([{ name: 't', partitions: 1, configs: { 'max.message.bytes': '2000' } }])
      const topic = ottla.topic<string, string>('t', { value: string })
      const [a, large, b] = topic.sendAll([{ value: 'a' }, { value: 'x'.repeat(5_000) }, { value: 'b' }])
      await expect(large!.committed).rejects.toMatchObject({ code: 'REJECTED' })
      const after = topic.send({ value: 'after' })
      await after.committed
      await Promise.allSettled([a!.committed, b!.committed])
      const parked = await ottla.outbox.list()
      expect(parked.some(({ state }) => state === 'parked')).toBe(true)
    })
  })

  describe('with a replica', () => {
    test('writes and reads without a relay; when it comes, everything lands once', async () => {
      const port = await freePort()
      const url = `${scheme}://127.0.0.1:${port}`
      const files = new MemoryFiles()
      const replica = replicaName()
      const seeding = await startRelay(port, files)
      const first = await connect(url, { replica, backoff: { delayMsFirst: 50 } })
      await live(first)
      await first.admin.createTopics([{ name: 't', partitions: 1 }])
      const t = first.topic<string, string>('t', { value: string })
      await t.send({ value: 'online' }).committed
      const following = t.read({ from: 'beginning' })
      const begun: (string | null)[] = []
      const done = following.each(({ value }) => {
        begun.push(value)
      })
      await eventually(() => begun.length === 1)
      await following.close()
      await done
      await seeding.close()
      const offline = t.send({ value: 'offline' })
      expect(await offline.stored).toBe('device')
      await first.close()

      // Another start of the page, still without a relay.
      const second = keep(await connect(url, { replica, backoff: { delayMsFirst: 50 } }))
      const again = second.topic<string, string>('t', { value: string })
      const held: (string | null)[] = []
      await again.read({ from: { last: 10 }, follow: false }).each(({ value }) => {
        held.push(value)
      })
      expect(held).toEqual(['online'])
      expect((await second.outbox.list()).length).toBe(1)
      const values: (string | null)[] = []
      const tail = again.read({ from: 'beginning' })
      const followed = tail.each(({ value }) => {
        values.push(value)
      })
      await startRelay(port, files)
      await eventually(() => values.length === 2)
      expect(values).toEqual(['online', 'offline'])
      await eventually(async () => (await second.outbox.list()).length === 0)
      await tail.close()
      await followed
    })

    test('a topic with `replica: false` is read live beside it', async () => {
      const ottla = keep(await connect((await startRelay()).url, { replica: replicaName() }))
      await live(ottla)
      await ottla.admin.createTopics([{ name: 't', partitions: 2 }])
      const topic = ottla.topic<string, string>('t', { value: string, replica: false })
      await topic.send({ value: 'a' }).committed
      const values: (string | null)[] = []
      await topic.read({ from: 'beginning', follow: false }).each(({ value }) => {
        values.push(value)
      })
      expect(values).toEqual(['a'])
      expect(ottla.status.topics.flatMap(({ replica }) => replica)).toEqual([])
    })
  })
})

test.each(['replica', 'live'])(
  '[RDR-9] a %s reader that waits ends with the client: closed, or logged out',
  async (kind) => {
    const relay = keep(await createRelay({ files: new MemoryFiles(), config: { dataDir: 'data' } }))
    for (const how of ['close', 'logout'] as const) {
      const ottla = keep(await connect(relay.websocket.url, { replica: replicaName() }))
      await live(ottla)
      if (how === 'close') await ottla.admin.createTopics([{ name: 'notes' }])
      const reader = ottla.topic('notes', { value: string, replica: kind === 'replica' }).read({ from: 'beginning' })
      const done = reader.each(() => {})
      await reader.upToDate
      await ottla[how]()
      await expect(done).rejects.toMatchObject({ code: 'CLOSED' })
    }
  },
)

test('what a browser loads contains nothing of Node', () => {
  const folder = new URL('../../dist/web/', import.meta.url)
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
  expect(files).toEqual(expect.arrayContaining(['client.js', 'worker.js', 'live.js']))
  const withNode = files.filter((name) => /["'`](node:)?net["'`]/.test(readFileSync(new URL(name, folder), 'utf8')))
  expect(withNode).toEqual([])
})
