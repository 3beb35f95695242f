/** A relay that is killed, again and again, under producers that resend: nothing acknowledged is lost, doubled or moved. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { suiteSeed } from '../support/suite-seed.ts'
import { AIMS } from './kills/aims.ts'
import { runKills } from './kills/kill-run.ts'
import { startChildRelay } from './support/child-relay.ts'

/** `npm run test:kills` does a thousand. */
const KILLS = Number(process.env.OTTLA_KILLS ?? 40)
const SEED = suiteSeed('OTTLA_KILLS_SEED')

async function dataFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'ottla-crash-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

test(`[LOG-90] killed ${KILLS} times under load, anywhere and in the midst of rolls, checkpoints, compactions and commits: the checker finds nothing`, async () => {
  console.log(`kills: seed ${SEED}`)
  const { report, complaints, hits, operations, stale, troubles } = await runKills(await dataFolder(), KILLS, SEED)
  console.log(
    `kills: ${operations.length} operations, ${[...hits].map(([aim, count]) => `${aim} ${count}`).join('; ')}`,
  )
  expect(troubles).toEqual([])
  expect(complaints).toEqual([])
  expect(report.anomalies.slice(0, 10).map(({ kind, text }) => `${kind}: ${text}`)).toEqual([])
  expect(report.isComplete).toBe(true)
  expect(stale, 'keys whose acknowledged value is not there').toEqual([])
  const acked = operations.filter((operation) => operation.op === 'send' && operation.outcome === 'ok')
  expect(acked.length).toBeGreaterThan(KILLS * 10)
  expect(operations.some((each) => each.op === 'transaction' && each.outcome === 'committed')).toBe(true)
  if (KILLS >= 500) for (const aim of Object.keys(AIMS)) expect(hits.get(aim) ?? 0, aim).toBeGreaterThan(0)
}, 3_600_000)

test('[LOG-91] a second relay on the same folder refuses to start, and the first does not notice', async () => {
  const first = await startRelay()
  const client = await RelayClient.open(first.websocket.url)
  const topicId = await client.createTopic('t')
  await expect(startRelay({ config: { dataDir: first.dataDir } })).rejects.toMatchObject({ code: 'LOCKED' })
  await expect(startChildRelay({ config: { dataDir: first.dataDir, httpPort: 0 } })).rejects.toThrow('ended')
  expect(await client.produce(topicId, ['a'])).toMatchObject({ errorCode: 0 })
})

test('[LOG-92] a killed relay leaves a folder that the next one takes at once', async () => {
  const dataDir = await dataFolder()
  const killed = await startChildRelay({ config: { dataDir, httpPort: 0 } })
  const client = await RelayClient.open(killed.websocket)
  const topicId = await client.createTopic('t')
  expect(await client.produce(topicId, ['a', 'b'])).toMatchObject({ baseOffset: 0 })
  await killed.kill()
  const next = await startRelay({ config: { dataDir } })
  const later = await RelayClient.open(next.websocket.url)
  expect(await later.topicId('t')).toBe(topicId)
  expect(await later.produce(topicId, ['c'])).toMatchObject({ baseOffset: 2 })
})
