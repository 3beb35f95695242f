/**
 * The mirror of requests.test.ts: a relay whose answers and deliveries were changed on the way. Relay and client run in
 * this process on a clock that is moved by hand, so OTTLA_FUZZ_SEED=S shows the same again.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test } from 'vitest'
import { sessionOpener } from '../../client/own-connection.ts'
import { MemoryDatabase } from '../../client/replica/memory-store.ts'
import { string } from '../../client/serde.ts'
import { HandClock } from '../../protocol/lib/clock.ts'
import { allowAll } from '../../server/authorizer.ts'
import { relayConfigDefaults } from '../../server/config.ts'
import { silentLogger } from '../../server/logger.ts'
import { openRelayCore, type RelayCore } from '../../server/relay-core.ts'
import { MemoryFiles } from '../../server/storage/memory-files.ts'
import { type Stall, watchStalls } from '../server/support/stall-watch.ts'
import { suiteSeed } from '../support/suite-seed.ts'
import { bombs } from './batches.ts'
import { directTransport } from './direct-transport.ts'
import { Draw } from './draw.ts'
import { HostileTransport } from './hostile-transport.ts'
import { openClient, TOPICS, Victim, type VictimOptions } from './victim.ts'

const COUNT = Number(process.env.OTTLA_FUZZ ?? 5000)
const SEED = suiteSeed('OTTLA_FUZZ_SEED')
const WARM_UP = 3000
const STALL_MS_MAX = 200
const GROWTH_BYTES_MAX = 64 * 1024 * 1024

test(
  '[SES-10] mutated answers and deliveries: the client survives each, and works when the relay is honest again',
  async () => {
    console.log(`hostile answers: OTTLA_FUZZ_SEED=${SEED}, ${COUNT} messages`)
    // Made before anything is timed: that takes a while.
    bombs()
    const clock = new HandClock()
    const draw = Draw.forCase(SEED, 0)
    const relay = await openRelay(clock, draw)
    const transport = new HostileTransport(directTransport(relay.services), Draw.forCase(SEED, 1))
    const faults = faultsOf(transport)
    const open = await sessionOpener('ws://relay', {
      ...{ transport, clock, random: draw.random, requestTimeoutMs: 200 },
      backoff: { delayMsFirst: 1, delayMsMax: 5 },
    })
    const options: VictimOptions = { open, database: new MemoryDatabase(), clock, draw, onFault: faults.note }
    const victim = new Victim(options)
    let longest: Stall | undefined
    await whileTimePasses(
      clock,
      victim.run(() => transport.count >= Math.min(COUNT / 2, WARM_UP)),
    )
    const before = bytesHeld()
    watchStalls(50, (stall) => {
      if (stall.stalledMs > (longest?.stalledMs ?? 0)) longest = stall
    })
    await whileTimePasses(
      clock,
      victim.run(() => transport.count >= COUNT).then(() => victim.end()),
    )
    const longestStall = longest

    transport.isHostile = false
    await whileTimePasses(clock, showThatItWorks(options))
    const grownBytes = bytesHeld() - before
    console.log({ messages: transport.count, ...victim.counts, longestStall, grownBytes })
    expect(faults.noted).toEqual([])
    expect(longestStall?.stalledMs ?? 0).toBeLessThan(STALL_MS_MAX)
    expect(grownBytes).toBeLessThan(GROWTH_BYTES_MAX)
    expect(victim.counts.committed).toBeGreaterThan(COUNT / 200)
    expect(victim.counts.read).toBeGreaterThan(COUNT / 200)
  },
  60_000 + COUNT * 30,
)

async function openRelay(clock: HandClock, { random }: Draw): Promise<RelayCore> {
  const address = { host: '127.0.0.1', port: 1 }
  const relay = await openRelayCore({
    ...{ files: new MemoryFiles(), clock, random, logger: silentLogger, authorizer: allowAll },
    config: { ...relayConfigDefaults, dataDir: '/data' },
    advertised: { http: () => address, kafka: () => undefined },
  })
  // Whatever it waits for there (compaction keeps to a pace, for one) comes only when time passes.
  onTestFinished(() => whileTimePasses(clock, relay.close()))
  for (const name of TOPICS) await relay.services.engine.createTopic({ name, partitionCount: 2, configs: {} })
  return relay
}

/** A client on what the hostile relay has left of the store. */
async function showThatItWorks(options: VictimOptions): Promise<void> {
  const ottla = await openClient(options)
  await new Promise<void>((resolve) => {
    const look = () => {
      if (ottla.status.connection.phase === 'live') resolve()
    }
    ottla.onStatus(look)
    look()
  })
  await ottla.admin.createTopics([{ name: 'afterwards', partitions: 1 }])
  const topic = ottla.topic('afterwards', { value: string })
  expect((await topic.send({ value: 'good' }).committed).offset).toBe(0)
  for await (const { value } of topic.read({ from: 'beginning' })) {
    expect(value).toBe('good')
    break
  }
  await ottla.close()
}

/** A millisecond for each turn of the event loop. */
async function whileTimePasses<T>(clock: HandClock, until: Promise<T>): Promise<T> {
  let isOver = false
  const end = () => {
    isOver = true
  }
  until.then(end, end)
  while (!isOver) {
    clock.advance(1)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return until
}

/** What is thrown where nobody catches it counts too. */
function faultsOf(transport: HostileTransport) {
  const noted: string[] = []
  const note = (error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    if (noted.length < 5) noted.push(`${text}\nlately sent:\n${transport.latest.join('\n')}`)
  }
  process.on('unhandledRejection', note)
  process.on('uncaughtException', note)
  onTestFinished(() => {
    process.off('unhandledRejection', note)
    process.off('uncaughtException', note)
  })
  return { noted, note }
}

function bytesHeld(): number {
  setFlagsFromString('--expose_gc')
  const collect = runInNewContext('gc') as () => void
  for (let round = 0; round < 3; round++) collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
