/** Writes through the client's own outbox while the relay is killed and the network between spoils what it can. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { connect, type Receipt, string } from '../../client/index.ts'
import { randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import { FROM_START } from '../../protocol/messages/offset-protocol.ts'
import { recordsIn } from '../support/read-values.ts'
import { RelayClient } from '../support/relay-client.ts'
import { suiteSeed } from '../support/suite-seed.ts'
import { type ProxyMode, startTcpProxy } from '../support/tcp-proxy.ts'
import { startChildRelay } from './support/child-relay.ts'

const KILLS = 12
const WRITERS = 3
const PARTITIONS = 3
/** What the network does shortly before a kill; 'drop-down' loses the acknowledgements and nothing else. */
const MODES: readonly ProxyMode[] = ['pass', 'drop-down', 'reset', 'close', 'stall', 'black-hole']

const portOf = (url: string) => Number(new URL(url).port)

test('[OUT-11] three outboxes, a relay killed again and again, acknowledgements lost: every write is there once, in order, where its receipt says', async () => {
  const seed = suiteSeed()
  console.log(`outbox through kills: seed ${seed}`)
  const random = seededRandom(seed)
  const dataDir = await mkdtemp(join(tmpdir(), 'ottla-crash-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  const config = { dataDir, httpPort: 0, heartbeatMs: 400 }
  let relay = await startChildRelay({ config })
  const admin = await RelayClient.open(relay.websocket)
  const topicId = await admin.createTopic('t', { partitions: PARTITIONS, configs: { 'segment.bytes': '60000' } })
  const proxy = await startTcpProxy({ port: portOf(relay.websocket) })
  onTestFinished(() => proxy.close())

  const backoff = { delayMsFirst: 20, delayMsMax: 200 }
  const sent: Array<{ value: string; receipt: Receipt }> = []
  let isOver = false
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    const ottla = await connect(`ws://127.0.0.1:${proxy.port}`, {
      lazy: true,
      backoff,
      requestTimeoutMs: 2_000,
      heartbeatMs: 400,
    })
    onTestFinished(() => ottla.close())
    const topic = ottla.topic('t', { value: string })
    for (let count = 0; !isOver; count++) {
      const value = `${writer}/${count}`
      const receipt = topic.send({ key: `key-${writer}-${count % 5}`, value })
      sent.push({ value, receipt })
      await receipt.stored
      if (count % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })

  for (let kill = 0; kill < KILLS; kill++) {
    await new Promise((resolve) => setTimeout(resolve, 50 + randomBelow(random, 150)))
    proxy.setMode(MODES[randomBelow(random, MODES.length)]!)
    await new Promise((resolve) => setTimeout(resolve, randomBelow(random, 100)))
    await relay.kill()
    relay = await startChildRelay({ config })
    proxy.retarget(portOf(relay.websocket))
    // Whatever was silent stays so: only a new connection may carry on.
    proxy.setMode('reset')
    proxy.setMode('pass')
  }
  isOver = true
  await Promise.all(writers)
  const committed = await Promise.all(sent.map(({ receipt }) => receipt.committed))

  for (let partition = 0; partition < PARTITIONS; partition++) {
    const reader = await RelayClient.open(relay.websocket)
    const { highWatermark } = await reader.subscribe(topicId, FROM_START, { partition, credit: 64_000_000 })
    await reader.deliveredTo(highWatermark, 20_000)
    const stored = reader.deliveries.flatMap(({ records }) => recordsIn(records))
    const own = sent
      .map((each, index) => ({ ...each, ...committed[index]! }))
      .filter((each) => each.partition === partition)
    expect(new Set(stored.map(({ value }) => value)).size, 'no write twice').toBe(stored.length)
    expect(stored.length, 'no write lost').toBe(own.length)
    for (let writer = 0; writer < WRITERS; writer++) {
      const isOwn = ({ value }: { value: string }) => value.startsWith(`${writer}/`)
      expect(stored.filter(isOwn).map(({ value }) => value)).toEqual(own.filter(isOwn).map(({ value }) => value))
    }
    const at = new Map(stored.map(({ offset, value }) => [offset, value]))
    for (const { offset, value } of own) if (offset >= 0) expect(at.get(offset)).toBe(value)
  }
  console.log(`outbox through kills: ${sent.length} writes`)
  expect(sent.length).toBeGreaterThan(KILLS * 10)
}, 300_000)
