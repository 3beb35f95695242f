/** Bytes that no well-meaning client sends: the sender is told why and is closed; nobody else notices. */
import { describe, expect, test } from 'vitest'
import { decodeResponse, encodeRequest } from '../../protocol/api.ts'
import { Reader } from '../../protocol/bytes/reader.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { ping } from '../../protocol/messages/offset-protocol.ts'
import { createPartitions, createTopics } from '../../protocol/messages/topics.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { startChildRelay } from './support/child-relay.ts'
import { mutated, type ValidFrame, validFrame, validFrames } from './support/mutator.ts'
import { type RawClose, RawWebSocket } from './support/raw-web-socket.ts'
import { validRequests } from './support/valid-requests.ts'

const PROBE_CORRELATION_ID = 77_777
const probe = encodeRequest(ping, 0, { correlationId: PROBE_CORRELATION_ID, clientId: null }, { clientTimeMs: 1 })
const isProbeAnswer = (message: Buffer) => message.length >= 4 && message.readInt32BE(0) === PROBE_CORRELATION_ID

async function relayWithTopic() {
  const relay = await startRelay()
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('t')
  return { relay, client, topicId, url: relay.websocket.url }
}

describe('requests that cannot be read', () => {
  test('[RPC-1] a frame cut at any byte closes its connection with 4400 and a reason, for every API and version', async () => {
    const { client, url, topicId } = await relayWithTopic()
    let closed = 0
    for (const request of validRequests({ name: 't', topicId })) {
      for (const version of new Set([request.api.minVersion, request.api.maxVersion])) {
        const { bytes } = validFrame(request, version)
        const cuts = Array.from({ length: bytes.length }, (_, cut) => cut)
        await inParallel(16, cuts, async (cut) => {
          const raw = await RawWebSocket.open(url)
          raw.send(bytes.subarray(0, cut))
          const close = await raw.waitForClose()
          expect(close, `${request.api.name} ${version} cut at ${cut}`).toMatchObject({ code: 4400 })
          expect(close.reason).not.toBe('')
          closed++
        })
      }
    }
    expect(closed).toBeGreaterThan(1000)
    expect(await client.call(ping, { clientTimeMs: 5 })).toMatchObject({ clientTimeMs: 5 })
  }, 60_000)

  test('[RPC-2] unknown APIs and versions that are not served close with 4400 and say what is served', async () => {
    const { url, topicId } = await relayWithTopic()
    const refusal = async (key: number, version: number) => {
      const raw = await RawWebSocket.open(url)
      const frame = Buffer.from(validFrame(validRequests({ name: 't', topicId })[3]!, 9).bytes)
      frame.writeInt16BE(key, 0)
      frame.writeInt16BE(version, 2)
      raw.send(frame)
      return raw.waitForClose()
    }
    expect(await refusal(9999, 0)).toEqual({ code: 4400, reason: 'API 9999 is not known here' })
    expect(await refusal(-1, 0)).toEqual({ code: 4400, reason: 'API -1 is not known here' })
    expect(await refusal(3, 14)).toEqual({ code: 4400, reason: 'Metadata 14 is not served; 0 to 13 are' })
    expect(await refusal(0, 2)).toMatchObject({ code: 4400 })
    expect(await refusal(20_000, -1)).toMatchObject({ code: 4400 })
  })

  test('[RPC-3] ApiVersions in a version that is too new is answered in version 0 with error 35; the connection lives', async () => {
    const { url } = await relayWithTopic()
    const raw = await RawWebSocket.open(url)
    // Version 99 with a body that nobody knows.
    raw.send(Buffer.from('0012006300000005000474657374ffffffffff', 'hex'))
    raw.send(probe)
    await expect.poll(() => raw.messages.length).toBe(2)
    const reader = new Reader(raw.messages[0]!)
    expect(reader.int32()).toBe(5)
    expect(decodeResponse(apiVersions, 0, reader)).toMatchObject({
      errorCode: ErrorCode.UNSUPPORTED_VERSION,
      apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }],
    })
    expect(isProbeAnswer(raw.messages[1]!)).toBe(true)
    expect(raw.close).toBeUndefined()
  })

  test('[RPC-4] text messages are refused', async () => {
    const { url } = await relayWithTopic()
    const raw = await RawWebSocket.open(url)
    raw.send(Buffer.from('hello'), { opcode: 1 })
    expect(await raw.waitForClose()).toEqual({ code: 4400, reason: 'requests are binary messages' })
  })

  test('[RPC-5] text that is not UTF-8 is refused, and is never echoed longer than its length field allows', async () => {
    const { url } = await relayWithTopic()
    const name = 'n'.repeat(32_767)
    const request = { topics: [{ name, count: 2, assignments: null }], timeoutMs: 0, validateOnly: true }
    const frame = encodeRequest(createPartitions, 0, { correlationId: 1, clientId: null }, request)
    frame.fill(0xff, frame.indexOf(0x6e), frame.lastIndexOf(0x6e))
    const raw = await RawWebSocket.open(url)
    raw.send(frame)
    expect(await raw.waitForClose()).toMatchObject({ code: 4400, reason: expect.stringMatching(/UTF-8/) })
  })

  test('[RPC-6] an error text never outgrows the length field of an old version', async () => {
    const { client } = await relayWithTopic()
    const name = 'n'.repeat(32_767)
    const { results } = await client.call(
      createPartitions,
      { topics: [{ name, count: 2, assignments: null }], timeoutMs: 0, validateOnly: true },
      0,
    )
    expect(results).toMatchObject([{ name, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }])
  })
})

describe('declared counts', () => {
  test('[RPC-7] every length field set to its extremes is refused before memory is taken', async () => {
    const { client, url, topicId } = await relayWithTopic()
    const frames = validFrames(validRequests({ name: 't', topicId })).filter(
      ({ api, version }) => version === api.minVersion || version === api.maxVersion,
    )
    const hostile = frames.flatMap((frame) => withExtremeFields(frame))
    expect(hostile.length).toBeGreaterThan(500)
    const before = process.memoryUsage().rss
    await inParallel(16, hostile, async (bytes) => {
      const raw = await RawWebSocket.open(url)
      raw.send(bytes)
      raw.send(probe)
      // Some stay valid, or wait as a Fetch may; what matters is what comes after all of them.
      await settled(raw, 200)
      raw.reset()
    })
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024)
    expect(await client.call(ping, { clientTimeMs: 5 })).toMatchObject({ clientTimeMs: 5 })
  }, 60_000)

  test('[RPC-8] a request with more elements than any client needs is refused, however few bytes each takes', async () => {
    const { client, url } = await relayWithTopic()
    // Two million topics of three bytes each.
    const names = Buffer.alloc(3 * 2_000_000)
    const head = Buffer.from('0003000000000001ffff', 'hex')
    const count = Buffer.alloc(4)
    count.writeInt32BE(3_000_000)
    const raw = await RawWebSocket.open(url)
    raw.send(Buffer.concat([head, count, names]))
    expect(await raw.waitForClose()).toMatchObject({ code: 4400, reason: expect.stringMatching(/elements/) })
    const within = await RawWebSocket.open(url)
    count.writeInt32BE(2_000_000)
    within.send(Buffer.concat([head, count, names]))
    expect(await within.waitForClose()).toMatchObject({ code: 4400, reason: expect.stringMatching(/elements/) })
    expect(client.closed).toBeUndefined()
  })

  test('[RPC-9] naming one thing a thousand times gets one answer where Kafka gives one, in time that grows no faster than the request', async () => {
    const relay = await startChildRelay({ config: { httpPort: 0, dataDir: '/data' }, inMemory: true })
    const client = await RelayClient.open(relay.websocket)
    await client.createTopic('wide', { partitions: 100 })
    const topics = Array.from({ length: 50_000 }, () => ({ name: 'wide' }))
    const answers = client.call(metadata, { topics, allowAutoTopicCreation: false })
    const many = Array.from({ length: 50_000 }, (_, index) => ({
      name: `x${index}`,
      numPartitions: 1,
      replicationFactor: 1,
      assignments: [],
      configs: [],
    }))
    const created = client.call(createTopics, { topics: many, validateOnly: true })
    expect((await answers).topics).toHaveLength(1)
    expect((await created).topics).toHaveLength(50_000)
  }, 60_000)
})

describe('a flood of bad frames', () => {
  test('[RPC-10] 100,000 mutated requests: the process stays up, memory is steady, a healthy connection is undisturbed', async () => {
    const seed = Date.now() % 1_000_000
    console.log(`hostile frames: seed ${seed}`)
    const relay = await startChildRelay({ config: { httpPort: 0, dataDir: '/data' }, inMemory: true })
    const healthy = await RelayClient.open(relay.websocket)
    const topicId = await healthy.createTopic('t')
    const frames = validFrames(validRequests({ name: 't', topicId }))
    await flood(relay.websocket, frames, seed + 1, 5_000)
    const before = await relay.report()

    const flooding = flood(relay.websocket, frames, seed, 100_000)
    const waitsMs = await pingUntil(healthy, flooding)
    const outcome = await flooding
    const after = await relay.report()

    const p99Ms = waitsMs[Math.floor(waitsMs.length * 0.99)]!
    console.log(
      'outcomes',
      outcome,
      `healthy connection: p99 ${p99Ms.toFixed(0)} ms, max ${waitsMs.at(-1)!.toFixed(0)} ms`,
    )
    expect(after.uncaught).toEqual([])
    expect(after.errors).toEqual([])
    expect(outcome.withoutReason).toEqual([])
    expect(outcome.refused).toBeGreaterThan(20_000)
    expect(outcome.answered).toBeGreaterThan(5_000)
    expect(healthy.closed).toBeUndefined()
    expect(waitsMs.length).toBeGreaterThan(100)
    expect(p99Ms).toBeLessThan(200)
    expect(after.heapBytes + after.bufferBytes - before.heapBytes - before.bufferBytes).toBeLessThan(64 * 1024 * 1024)
  }, 240_000)
})

interface FloodOutcome {
  refused: number
  answered: number
  /** Still waiting, as a mutated Fetch may; reset by the client. */
  abandoned: number
  /** Closes that did not say what was wrong with the request. */
  withoutReason: string[]
}

/** Sends frames over a pool of connections, each followed by a good request, and opens a new one for each that closes. */
async function flood(url: string, frames: readonly ValidFrame[], seed: number, count: number): Promise<FloodOutcome> {
  const outcome: FloodOutcome = { refused: 0, answered: 0, abandoned: 0, withoutReason: [] }
  const random = seededRandom(seed)
  const indexes = Array.from({ length: count }, (_, index) => index)
  const pool: Array<RawWebSocket | undefined> = []
  await inParallel(24, indexes, async (_index, worker) => {
    let bytes: Uint8Array
    do bytes = mutated(frames[randomBelow(random, frames.length)]!, random)
    while (wouldMakeManyPartitions(bytes))
    const raw = pool[worker] ?? (await RawWebSocket.open(url))
    pool[worker] = raw
    raw.messages.length = 0
    raw.send(bytes)
    raw.send(probe)
    const end = await settled(raw, 300)
    if (end === 'answered') {
      outcome.answered++
      return
    }
    pool[worker] = undefined
    if (end === 'waiting') outcome.abandoned++
    else {
      outcome.refused++
      if (!isReasoned(raw.close) && outcome.withoutReason.length < 10)
        outcome.withoutReason.push(`${raw.close?.code} ${raw.close?.reason} for ${Buffer.from(bytes).toString('hex')}`)
    }
    raw.reset()
  })
  for (const raw of pool) raw?.reset()
  return outcome
}

/** 1011 only where a write that wants no answer failed: closing is the one way to say so. */
function isReasoned(close: RawClose | undefined): boolean {
  if (!close || close.reason === '') return false
  return close.code === 4400 || close.code === 4409 || (close.code === 1011 && close.reason.startsWith('acks=0'))
}

/** Legal, and slow on purpose: not what this is about. */
function wouldMakeManyPartitions(bytes: Uint8Array): boolean {
  const reader = new Reader(bytes)
  try {
    const [key, version] = [reader.int16(), reader.int16()]
    if (key !== createTopics.key && key !== createPartitions.key) return false
    reader.skip(4)
    reader.skip(Math.max(0, reader.int16()))
    const api = key === createTopics.key ? createTopics : createPartitions
    if (version >= api.flexibleFrom) reader.skip(1)
    return !(api.request.read(reader, version) as { validateOnly: boolean }).validateOnly
  } catch {
    return false
  }
}

/** The probe's answer, the end of the connection, or neither within `waitMs`. */
function settled(raw: RawWebSocket, waitMs: number): Promise<'answered' | 'ended' | 'waiting'> {
  return new Promise((resolve) => {
    const finish = (end: 'answered' | 'ended' | 'waiting') => {
      clearTimeout(timer)
      raw.onMessage = undefined
      raw.onEnd = undefined
      resolve(end)
    }
    const timer = setTimeout(() => finish('waiting'), waitMs)
    raw.onMessage = (message) => {
      if (isProbeAnswer(message)) finish('answered')
    }
    raw.onEnd = () => finish('ended')
    if (raw.isGone) finish('ended')
  })
}

/** Pings without pause until `until` settles; how long each answer took, ascending. */
async function pingUntil(client: RelayClient, until: Promise<unknown>): Promise<number[]> {
  let isOver = false
  const end = () => {
    isOver = true
  }
  until.then(end, end)
  const waitsMs: number[] = []
  while (!isOver) {
    const startedAt = performance.now()
    await client.call(ping, { clientTimeMs: 0 })
    waitsMs.push(performance.now() - startedAt)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return waitsMs.sort((a, b) => a - b)
}

/** Each field in turn set to the largest, the smallest and a huge positive value of its size. */
function withExtremeFields({ bytes, places }: ValidFrame): Uint8Array[] {
  return places
    .filter(({ at, sizeBytes }) => at >= 8 && sizeBytes <= 4 && sizeBytes > 0)
    .flatMap(({ at, sizeBytes }) =>
      [
        [0x7f, 0xff],
        [0x80, 0x00],
        [0xff, 0xff],
      ].map(([first, rest]) => {
        const changed = bytes.slice()
        changed.fill(rest!, at, at + sizeBytes)
        changed[at] = first!
        return changed
      }),
    )
}

async function inParallel<T>(width: number, items: readonly T[], work: (item: T, worker: number) => Promise<void>) {
  let next = 0
  await Promise.all(
    Array.from({ length: width }, async (_, worker) => {
      while (next < items.length) await work(items[next++]!, worker)
    }),
  )
}
