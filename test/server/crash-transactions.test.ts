/** The relay is killed as a transaction of the client's outbox asks for its end. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { connect, string } from '../../client/index.ts'
import { randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import { endTxn } from '../../protocol/messages/transactions.ts'
import { tappedTransport } from '../support/dying-transport.ts'
import { suiteSeed } from '../support/suite-seed.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { startChildRelay } from './support/child-relay.ts'

const KILLS = Number(process.env.OTTLA_KILLS ?? 6)
const portOf = (url: string) => Number(new URL(url).port)

test(`[TXN-79] a relay killed ${KILLS} times as a commit comes in: each transaction is there once and whole, in order`, async () => {
  const seed = suiteSeed()
  console.log(`transactions through kills of the relay: seed ${seed}`)
  const random = seededRandom(seed)
  const dataDir = await mkdtemp(join(tmpdir(), 'ottla-crash-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  const config = { dataDir, httpPort: 0, heartbeatMs: 400 }
  let relay = await startChildRelay({ config })
  const proxy = await startTcpProxy({ port: portOf(relay.websocket) })
  onTestFinished(() => proxy.close())

  let aim = Number.POSITIVE_INFINITY
  let hit: () => void = () => {}
  const transport = tappedTransport((key) => {
    if (key === endTxn.key && --aim === 0) hit()
  })
  const options = { backoff: { delayMsFirst: 10, delayMsMax: 100 }, requestTimeoutMs: 2_000, heartbeatMs: 400 }
  const ottla = await connect(`ws://127.0.0.1:${proxy.port}`, { ...options, transport })
  onTestFinished(() => ottla.close())
  await ottla.admin.createTopics([{ name: 'a', partitions: 2 }, { name: 'b' }])
  const commits: Array<Promise<unknown>> = []
  const expected: string[] = []
  for (let kill = 0; kill < KILLS; kill++) {
    const isHit = new Promise<void>((resolve) => {
      hit = resolve
    })
    aim = 1 + randomBelow(random, 4)
    for (let count = 0; count < 4; count++) {
      const value = `${kill}/${count}`
      const { committed } = await ottla.transaction((tx) => {
        for (const partition of [0, 1]) tx.send('a', { value, partition })
        tx.send('b', { value })
      })
      expected.push(value)
      commits.push(committed)
    }
    await isHit
    // From before the relay has read it to after it has answered.
    const waitMs = randomBelow(random, 6)
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    await relay.kill()
    relay = await startChildRelay({ config })
    proxy.retarget(portOf(relay.websocket))
    proxy.setMode('reset')
    proxy.setMode('pass')
  }
  await Promise.all(commits)
  const valuesOf = async (topic: string, partition: number) => {
    const values: Array<string | null> = []
    const read = { from: 'beginning', follow: false, partitions: [partition] } as const
    for await (const { value } of ottla.topic(topic, { value: string }).read(read)) values.push(value)
    return values
  }
  expect(await valuesOf('a', 0)).toEqual(expected)
  expect(await valuesOf('a', 1)).toEqual(expected)
  expect(await valuesOf('b', 0)).toEqual(expected)
}, 120_000)
