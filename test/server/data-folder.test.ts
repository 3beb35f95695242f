/** What a start makes of a spoilt data folder: it says what it found, serves what is whole, and shortens nothing in silence. */
import { cp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../protocol/errors.ts'
import { systemClock } from '../../protocol/lib/clock.ts'
import { type Random, randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { FROM_END, FROM_START } from '../../protocol/messages/offset-protocol.ts'
import { listOffsets } from '../../protocol/messages/offsets.ts'
import { initProducerId } from '../../protocol/messages/producers.ts'
import { stampProducer } from '../../protocol/record-batch.ts'
import { createLogger } from '../../server/logger.ts'
import { createRelay, type Relay } from '../../server/relay.ts'
import { nodeFiles } from '../../server/storage/node-files.ts'
import { eventually } from '../support/eventually.ts'
import { FaultyFiles } from '../support/faulty-files.ts'
import { recordsIn } from '../support/read-values.ts'
import { startRelay, temporaryFolder } from '../support/relay.ts'
import { batchOf, RelayClient } from '../support/relay-client.ts'
import { suiteSeed } from '../support/suite-seed.ts'

const BATCHES = 14
const SEGMENT_BYTES = 4096

type LogEvent = Record<string, unknown> & { event: string; level: string }

interface Image {
  dataDir: string
  topicId: string
  otherId: string
  producerId: number
  /** Values of partition 0 in order. */
  values: string[]
}

/** A folder with a topic of several segments, and another one beside it; closed in order, or as a crash leaves it. */
async function makeImage(how: 'clean' | 'crashed'): Promise<Image> {
  const relay = await startRelay()
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('t', { partitions: 2, configs: { 'segment.bytes': `${SEGMENT_BYTES}` } })
  const otherId = await client.createTopic('other')
  const { producerId } = await client.call(initProducerId, { transactionTimeoutMs: 0 })
  const values: string[] = []
  for (let index = 0; index < BATCHES; index++) {
    const value = `${index}:`.padEnd(900, String.fromCharCode(97 + index))
    values.push(value)
    const batch = batchOf(value)
    stampProducer(batch, { producerId, producerEpoch: 0, baseSequence: index })
    expect(await client.produce(topicId, batch)).toMatchObject({ errorCode: 0, baseOffset: index })
  }
  await client.produce(topicId, ['p1'], 1)
  await client.produce(otherId, ['o1'])
  const dataDir = await temporaryFolder()
  if (how === 'clean') await relay.close()
  // Until it is noted how far the disk is.
  else await eventually(async () => (await stat(join(partitionDir(relay.dataDir, topicId), 'synced'))).size > 0)
  if (how === 'crashed') await new Promise((resolve) => setTimeout(resolve, 50))
  await cp(relay.dataDir, dataDir, { recursive: true, filter: (path) => !path.endsWith('.sock') })
  await relay.close()
  return { dataDir, topicId, otherId, producerId, values }
}

const partitionDir = (dataDir: string, topicId: string, partition = 0) =>
  join(dataDir, 'topics', `t.${topicId}`, `${partition}`)

async function startOn(dataDir: string, files?: FaultyFiles) {
  const events: LogEvent[] = []
  const logger = createLogger({
    format: 'json',
    level: 'debug',
    clock: systemClock,
    write: (line) => events.push(JSON.parse(line)),
  })
  const relay = await startRelay({ config: { dataDir }, logger, files })
  const client = await RelayClient.open(relay.websocket.url)
  return { relay, client, events }
}

/** Reads a partition by Fetch as far as it goes. */
async function readAll(client: RelayClient, topicId: string, partition = 0) {
  const values: string[] = []
  for (let fetchOffset = 0; ; ) {
    const partitions = [{ partition, fetchOffset, partitionMaxBytes: 3000 }]
    const { responses } = await client.call(fetch, { maxWaitMs: 0, minBytes: 0, topics: [{ topicId, partitions }] })
    const { errorCode, records, highWatermark } = responses[0]!.partitions[0]!
    const found = recordsIn(records ?? new Uint8Array())
    for (const { offset, value } of found) {
      if (offset < fetchOffset) continue
      expect(offset).toBe(values.length)
      values.push(value)
    }
    fetchOffset = values.length
    if (errorCode !== 0 || found.length === 0) return { values, errorCode, highWatermark }
  }
}

async function readiness(relay: Relay) {
  const response = await globalThis.fetch(`${relay.http.url}/readyz`)
  return { status: response.status, body: (await response.json()) as { offline: Array<Record<string, unknown>> } }
}

/** What must hold whatever was done to partition 0 of `t`. Returns whether the partition is whole. */
async function examine(image: Image): Promise<{ isWhole: boolean; events: LogEvent[]; readable: number }> {
  const { relay, client, events } = await startOn(image.dataDir)
  const { values, errorCode } = await readAll(client, image.topicId)
  expect(values).toEqual(image.values.slice(0, values.length))
  const log = relay.engine.topicByName('t')!.partitions[0]!
  const isWhole = values.length === image.values.length
  if (!isWhole) {
    expect(errorCode, 'reading on says why it ends').toBe(ErrorCode.KAFKA_STORAGE_ERROR)
    expect(log.state).toBe('offline')
  }
  const written = await client.produce(image.topicId, ['after'])
  if (log.state === 'offline') {
    expect(written).toMatchObject({ errorCode: ErrorCode.KAFKA_STORAGE_ERROR })
    const { status, body } = await readiness(relay)
    expect(status).toBe(503)
    expect(body.offline).toMatchObject([{ topic: 't', partition: 0, reason: log.fault!.message }])
    const said = events.filter(({ event }) => event === 'partition offline')
    expect(said).toMatchObject([{ level: 'error', topic: 't', partition: 0, fault: log.fault!.message }])
  } else {
    expect(written).toMatchObject({ errorCode: 0, baseOffset: image.values.length })
    expect((await readiness(relay)).status).toBe(200)
  }
  expect(await client.produce(image.topicId, ['p2'], 1)).toMatchObject({ errorCode: 0, baseOffset: 1 })
  expect(await client.produce(image.otherId, ['o2'])).toMatchObject({ errorCode: 0, baseOffset: 1 })
  expect((await readAll(client, image.otherId)).values).toEqual(['o1', 'o2'])
  await relay.close()
  return { isWhole, events, readable: values.length }
}

const flip = async (path: string, at: number, bit = 0) => {
  const bytes = await readFile(path)
  bytes[at < 0 ? bytes.length + at : at]! ^= 1 << bit
  await writeFile(path, bytes)
}
const zero = async (path: string, from: number, count: number) => {
  const bytes = await readFile(path)
  bytes.fill(0, from, Math.min(bytes.length, from + count))
  await writeFile(path, bytes)
}
const append = async (path: string, bytes: Uint8Array) => writeFile(path, bytes, { flag: 'a' })

/** A file of partition 0: the first or last of a kind. */
async function fileOf(image: Image, kind: string, which: 'first' | 'last' = 'first'): Promise<string> {
  const dir = partitionDir(image.dataDir, image.topicId)
  const names = (await readdir(dir)).filter((name) => name.endsWith(kind)).sort()
  const name = which === 'first' ? names[0] : names.at(-1)
  if (!name) throw new Error(`no ${kind} in ${(await readdir(dir)).join(' ')}`)
  return join(dir, name)
}

type Case = [what: string, how: 'clean' | 'crashed', spoil: (image: Image) => Promise<unknown>, said?: RegExp]

const harmless: Case[] = [
  ['nothing', 'clean', async () => {}],
  ['nothing, after a crash', 'crashed', async () => {}],
  ['a lost index', 'clean', async (image) => rm(await fileOf(image, '.index'))],
  ['a damaged index of an old segment', 'clean', async (image) => flip(await fileOf(image, '.index'), 3)],
  [
    'a damaged index of the newest segment',
    'clean',
    async (image) => flip(await fileOf(image, '.index', 'last'), -1),
    /\.index/,
  ],
  ['a lost snapshot', 'clean', async (image) => rm(await fileOf(image, '.snapshot', 'last'))],
  [
    'all snapshots lost',
    'crashed',
    async (image) => {
      for (;;) await rm(await fileOf(image, '.snapshot'))
    },
  ],
  ['a damaged snapshot', 'clean', async (image) => flip(await fileOf(image, '.snapshot', 'last'), 9), /snapshot/],
  ['a lost manifest', 'clean', async (image) => rm(await fileOf(image, 'manifest')), /manifest/],
  ['a damaged manifest', 'crashed', async (image) => flip(await fileOf(image, 'manifest'), 20), /manifest/],
  ['a lost word of an orderly end', 'clean', async (image) => rm(await fileOf(image, 'clean'))],
  ['a damaged word of an orderly end', 'clean', async (image) => flip(await fileOf(image, 'clean'), 1)],
  ['a lost note of what is durable', 'crashed', async (image) => rm(await fileOf(image, 'synced'))],
  ['a damaged note of what is durable', 'crashed', async (image) => zero(await fileOf(image, 'synced'), 0, 4096)],
  [
    'a torn write',
    'crashed',
    async (image) => append(await fileOf(image, '.log', 'last'), batchOf('torn').subarray(0, 40)),
    /torn tail cut/,
  ],
  [
    'a torn write of garbage',
    'crashed',
    async (image) => append(await fileOf(image, '.log', 'last'), new Uint8Array(5000).fill(7)),
    /torn tail cut/,
  ],
  [
    'zeros behind the end',
    'crashed',
    async (image) => append(await fileOf(image, '.log', 'last'), new Uint8Array(9000)),
  ],
]

const damage: Case[] = [
  ['a lost old segment', 'clean', async (image) => rm(await fileOf(image, '.log')), /00000\.log.*missing/],
  ['a lost newest segment', 'clean', async (image) => rm(await fileOf(image, '.log', 'last')), /\.log|gap|durable/],
  [
    'a lost newest segment after a crash',
    'crashed',
    async (image) => rm(await fileOf(image, '.log', 'last')),
    /\.log|gap|durable/,
  ],
  ['an old segment cut short', 'clean', async (image) => truncate(await fileOf(image, '.log'), 1500), /1500/],
  ['an empty old segment', 'crashed', async (image) => truncate(await fileOf(image, '.log'), 0), /0 bytes/],
  [
    'the newest segment cut short',
    'clean',
    async (image) => truncate(await fileOf(image, '.log', 'last'), 500),
    /\.log/,
  ],
  [
    'the newest segment cut short after a crash',
    'crashed',
    async (image) => truncate(await fileOf(image, '.log', 'last'), 500),
    /\.log/,
  ],
  [
    'a flipped bit in an old segment',
    'clean',
    async (image) => flip(await fileOf(image, '.log'), 1500),
    /corrupt|damaged|checksum/,
  ],
  [
    'a flipped bit in the newest segment',
    'crashed',
    async (image) => flip(await fileOf(image, '.log', 'last'), 200),
    /checksum/,
  ],
  [
    'a flipped bit in the newest segment, closed in order',
    'clean',
    async (image) => flip(await fileOf(image, '.log', 'last'), 200),
    /damaged|checksum/,
  ],
  [
    'a flipped bit in a length',
    'crashed',
    async (image) => flip(await fileOf(image, '.log', 'last'), 9),
    /size|not all there/,
  ],
  [
    'a zeroed block in an old segment',
    'clean',
    async (image) => zero(await fileOf(image, '.log'), 1024, 1024),
    /damaged|zero/,
  ],
  [
    'a zeroed beginning of the newest segment',
    'crashed',
    async (image) => zero(await fileOf(image, '.log', 'last'), 0, 512),
    /zeros/,
  ],
  [
    'a lost folder of the partition',
    'clean',
    async (image) => rm(partitionDir(image.dataDir, image.topicId), { recursive: true }),
    /gone/,
  ],
]

describe('the folder of a partition', () => {
  test.each(harmless)('[LOG-93] %s (%s): every record is there, writing goes on', async (_what, how, spoil, said) => {
    const image = await makeImage(how)
    await spoil(image).catch((error) => {
      if (!String(error).includes('no .snapshot')) throw error
    })
    const { isWhole, events } = await examine(image)
    expect(isWhole).toBe(true)
    if (said) expect(JSON.stringify(events)).toMatch(said)
  })

  test.each(damage)(
    '[LOG-94] %s (%s): offline from there on, said exactly; what lies below is served',
    async (_what, how, spoil, said) => {
      const image = await makeImage(how)
      await spoil(image)
      const { isWhole, events } = await examine(image)
      expect(isWhole).toBe(false)
      const offline = events.filter(({ event }) => event === 'partition offline')
      expect(offline[0]!.fault).toMatch(said!)
      // Nothing was taken away meanwhile: the next start says the same.
      const again = await examineFault(image)
      expect(again).not.toBeUndefined()
    },
  )

  test('[LOG-95] a torn write is reported with file, byte and length, and nothing else is touched', async () => {
    const image = await makeImage('crashed')
    const path = await fileOf(image, '.log', 'last')
    const { size } = await stat(path)
    await append(path, batchOf('torn').subarray(0, 40))
    const { events } = await examine(image)
    expect(events.filter(({ event }) => event === 'torn tail cut')).toMatchObject([
      {
        level: 'warn',
        topic: 't',
        partition: 0,
        file: path.split('/').at(-1),
        position: size,
        bytes: 40,
        offset: BATCHES,
      },
    ])
  })

  test('[PRD-9] producers are recognised though their snapshot is lost or damaged', async () => {
    for (const how of ['clean', 'crashed'] as const) {
      const image = await makeImage(how)
      for (const name of await readdir(partitionDir(image.dataDir, image.topicId)))
        if (name.endsWith('.snapshot')) await flip(join(partitionDir(image.dataDir, image.topicId), name), 12)
      const { client } = await startOn(image.dataDir)
      const again = batchOf(image.values.at(-1)!)
      stampProducer(again, { producerId: image.producerId, producerEpoch: 0, baseSequence: BATCHES - 1 })
      expect(await client.produce(image.topicId, again)).toMatchObject({ errorCode: 0, baseOffset: BATCHES - 1 })
    }
  })

  test('[SYN-23] a replica is never told to cut what a damaged log has lost', async () => {
    for (const spoil of [damage[0]!, damage[2]!, damage[6]!, damage.at(-1)!]) {
      const image = await makeImage(spoil[1])
      await spoil[2](image)
      const { relay, client } = await startOn(image.dataDir)
      const { leaderEpoch } = relay.engine.topicByName('t')!.partitions[0]!
      for (const epoch of [-1, 0, leaderEpoch]) {
        for (const offset of [BATCHES, BATCHES + 5, FROM_END]) {
          const started = await client.subscribe(image.topicId, offset, { leaderEpoch: epoch })
          expect(started).toMatchObject({ errorCode: ErrorCode.KAFKA_STORAGE_ERROR, truncateTo: -1 })
        }
      }
      const end = await client.call(listOffsets, {
        topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
      })
      expect(end.topics[0]!.partitions[0]!).toMatchObject({ errorCode: ErrorCode.KAFKA_STORAGE_ERROR, offset: -1 })
      const { highWatermark } = await client.subscribe(image.topicId, FROM_START)
      await eventually(() => client.ended.length > 0 || highWatermark === 0)
      for (const { truncateTo, errorCode } of client.ended)
        expect({ truncateTo, errorCode }).toEqual({ truncateTo: -1, errorCode: ErrorCode.KAFKA_STORAGE_ERROR })
      await relay.close()
    }
  })

  test('[LOG-96] 100 random wounds, anywhere in the folder: a prefix is served, or all; never less in silence', async () => {
    const seed = suiteSeed()
    console.log(`data folder: seed ${seed}`)
    const random = seededRandom(seed)
    const images = { clean: await makeImage('clean'), crashed: await makeImage('crashed') }
    let wholeCount = 0
    for (let round = 0; round < 100; round++) {
      const original = images[round % 2 ? 'clean' : 'crashed']
      const dataDir = await temporaryFolder()
      await cp(original.dataDir, dataDir, { recursive: true })
      const image = { ...original, dataDir }
      const wound = await woundAtRandom(image, random)
      try {
        if ((await examine(image)).isWhole) wholeCount++
      } catch (error) {
        throw new Error(`seed ${seed}, round ${round}: ${wound}`, { cause: error })
      }
      await rm(dataDir, { recursive: true, force: true })
    }
    expect(wholeCount).toBeGreaterThan(5)
    expect(wholeCount).toBeLessThan(95)
  }, 60_000)
})

async function examineFault(image: Image): Promise<string | undefined> {
  const { relay, client } = await startOn(image.dataDir)
  await readAll(client, image.topicId)
  const { fault } = relay.engine.topicByName('t')!.partitions[0]!
  await relay.close()
  return fault?.message
}

async function woundAtRandom(image: Image, random: Random): Promise<string> {
  const dir = partitionDir(image.dataDir, image.topicId)
  const names = (await readdir(dir)).sort()
  const name = names[randomBelow(random, names.length)]!
  const path = join(dir, name)
  const { size } = await stat(path)
  const at = randomBelow(random, Math.max(1, size))
  const kind = size === 0 ? 3 : randomBelow(random, 4)
  if (kind === 0) await flip(path, at, randomBelow(random, 8))
  else if (kind === 1) await truncate(path, at)
  else if (kind === 2) await zero(path, at, 1 + randomBelow(random, 1024))
  else await rm(path)
  return `${['flipped a bit of', 'cut', 'zeroed part of', 'removed'][kind]} ${name} at ${at} of ${size}`
}

describe('the metadata log', () => {
  const metadataFile = async (image: Image, kind: string) => {
    const dir = join(image.dataDir, 'metadata')
    const name = (await readdir(dir)).filter((each) => each.endsWith(kind)).sort()[0]!
    return join(dir, name)
  }
  const start = (image: Image) => createRelay({ config: { dataDir: image.dataDir, httpPort: 0 } })

  test('[LOG-97] damaged: the relay refuses to start and says where, rather than forget a topic', async () => {
    const image = await makeImage('crashed')
    await flip(await metadataFile(image, '.log'), 100)
    await expect(start(image)).rejects.toThrow(/metadata log is damaged.*\.log/)
    const closed = await makeImage('clean')
    await flip(await metadataFile(closed, '.log'), 100)
    await expect(start(closed)).rejects.toThrow(/\.log/)
    const cut = await makeImage('clean')
    await truncate(await metadataFile(cut, '.log'), 150)
    await expect(start(cut)).rejects.toThrow(/metadata log is damaged/)
  })

  test('[LOG-98] gone, while topics are there: the relay refuses to start as an empty one', async () => {
    const image = await makeImage('clean')
    await rm(join(image.dataDir, 'metadata'), { recursive: true })
    await expect(start(image)).rejects.toThrow(/metadata/)
    const onlyFile = await makeImage('clean')
    await rm(await metadataFile(onlyFile, '.log'))
    await expect(start(onlyFile)).rejects.toThrow(/metadata/)
  })

  test('[LOG-99] a torn last change is cut; what was acknowledged stays', async () => {
    const image = await makeImage('crashed')
    await append(await metadataFile(image, '.log'), batchOf('half a change').subarray(0, 50))
    expect((await examine(image)).isWhole).toBe(true)
  })

  test('[LOG-100] a folder that no topic explains is reported and left alone', async () => {
    const image = await makeImage('clean')
    await cp(join(image.dataDir, 'topics', `t.${image.topicId}`), join(image.dataDir, 'topics', 't.strange'), {
      recursive: true,
    })
    const { events } = await startOn(image.dataDir)
    expect(events.filter(({ event }) => event === 'folder without a topic')).toMatchObject([
      { folder: 'topics/t.strange' },
    ])
    expect(await readdir(join(image.dataDir, 'topics', 't.strange'))).toContain('0')
  })
})

describe('a disk that fails while the relay runs', () => {
  test('[LOG-101] full: writes are refused with 56, reads go on; with room again writing goes on; all acknowledged is there', async () => {
    const dataDir = await temporaryFolder()
    const files = new FaultyFiles(nodeFiles)
    const { relay, client } = await startOn(dataDir, files)
    const topicId = await client.createTopic('t')
    const acked: string[] = []
    const write = async (value: string) => {
      const answer = await client.produce(topicId, [value])
      if (answer.errorCode === 0) acked[answer.baseOffset] = value
      return answer.errorCode
    }
    for (let index = 0; index < 5; index++) expect(await write(`a${index}`)).toBe(0)
    for (const isTornFirst of [false, true]) {
      const log = { call: 'writev', path: /\.log$/ } as const
      if (isTornFirst) files.fail({ ...log, shortBytes: 20 })
      const full = files.fail({ ...log, times: 10_000, code: 'ENOSPC' })
      const codes = await Promise.all(Array.from({ length: 5 }, (_, index) => write(`lost${index}`)))
      expect(codes).toEqual(Array(5).fill(ErrorCode.KAFKA_STORAGE_ERROR))
      expect((await readAll(client, topicId)).values).toEqual(acked)
      const reader = await RelayClient.open(relay.websocket.url)
      await reader.subscribe(topicId, 0)
      await reader.deliveredTo(acked.length)
      expect(full.count).toBeGreaterThan(0)
      full.heal()
      await eventually(async () => (await write('again')) === 0, { withinMs: 10_000, everyMs: 100 })
      expect(client.closed).toBeUndefined()
    }
    await relay.close()
    const { client: later } = await startOn(dataDir)
    expect((await readAll(later, topicId)).values).toEqual(acked)
  }, 30_000)

  test('[LOG-102] a failed sync: nothing is acknowledged on that log again, reads go on, a restart has all that was', async () => {
    const dataDir = await temporaryFolder()
    const files = new FaultyFiles(nodeFiles)
    const { relay, client, events } = await startOn(dataDir, files)
    const topicId = await client.createTopic('t')
    const otherId = await client.createTopic('other')
    expect(await client.produce(topicId, ['a'])).toMatchObject({ errorCode: 0 })
    const fault = files.fail({ call: 'sync', path: /topics\/t\..*\.log$/, code: 'EIO' })
    const answers = await Promise.all(Array.from({ length: 5 }, () => client.produce(topicId, ['lost'])))
    expect(fault.count).toBe(1)
    expect(answers.map(({ errorCode }) => errorCode)).toEqual(Array(5).fill(ErrorCode.KAFKA_STORAGE_ERROR))
    expect(await client.produce(topicId, ['lost'])).toMatchObject({ errorCode: ErrorCode.KAFKA_STORAGE_ERROR })
    expect((await readAll(client, topicId)).values).toEqual(['a'])
    expect(await client.produce(otherId, ['b'])).toMatchObject({ errorCode: 0 })
    expect((await readiness(relay)).status).toBe(503)
    expect(events.filter(({ event }) => event === 'partition offline')).toHaveLength(1)
    await relay.close()
    const { client: later } = await startOn(dataDir)
    expect((await readAll(later, topicId)).values).toEqual(['a'])
    expect(await later.produce(topicId, ['c'])).toMatchObject({ errorCode: 0, baseOffset: 1 })
  })

  test('[LOG-103] reads that fail are answered with 56 and end no connection; the next one succeeds', async () => {
    const image = await makeImage('clean')
    const files = new FaultyFiles(nodeFiles)
    const { client } = await startOn(image.dataDir, files)
    for (const call of ['read', 'open'] as const) {
      const fault = files.fail({ call, path: /t\..*\.log$/, code: call === 'read' ? 'EIO' : 'EMFILE', times: 1 })
      const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 100 }]
      const { responses } = await client.call(fetch, {
        maxWaitMs: 0,
        minBytes: 0,
        topics: [{ topicId: image.topicId, partitions }],
      })
      if (fault.count > 0)
        expect(responses[0]!.partitions[0]).toMatchObject({ errorCode: ErrorCode.KAFKA_STORAGE_ERROR })
      fault.heal()
    }
    expect((await readAll(client, image.topicId)).values).toEqual(image.values)
    expect(client.closed).toBeUndefined()
  })
})
