/** Bytes that no well-meaning client sends: the sender is told why and is closed; nobody else notices. */
import { describe, expect, test } from 'vitest'
import { decodeResponse, encodeRequest } from '../../protocol/api.ts'
import { Reader } from '../../protocol/bytes/reader.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { seededRandom } from '../../protocol/lib/random.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { ping } from '../../protocol/messages/offset-protocol.ts'
import { createPartitions, createTopics } from '../../protocol/messages/topics.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
import { Draw } from '../fuzz/draw.ts'
import { generateRequest } from '../fuzz/generate.ts'
import { KnownValues } from '../fuzz/known-values.ts'
import { APIS, versionsOf, writeRequest } from '../fuzz/request-tree.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { startChildRelay } from './support/child-relay.ts'
import { RawWebSocket } from './support/raw-web-socket.ts'

const CUTS_PER_VERSION = 8

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
    const { client, url } = await relayWithTopic()
    const draw = new Draw(seededRandom(1))
    const cuts = APIS.flatMap((api) =>
      versionsOf(api).flatMap((version) => {
        const bytes = writeRequest(generateRequest(api, version, { draw, known: new KnownValues(), complete: true }))
        return Array.from({ length: CUTS_PER_VERSION }, () => bytes.subarray(0, draw.below(bytes.length)))
      }),
    )
    await inParallel(16, cuts, async (cut) => {
      const raw = await RawWebSocket.open(url)
      raw.send(cut)
      const close = await raw.waitForClose()
      expect(close, Buffer.from(cut).toString('hex')).toMatchObject({ code: 4400 })
      expect(close.reason).not.toBe('')
    })
    expect(cuts.length).toBeGreaterThan(1000)
    expect(await client.call(ping, { clientTimeMs: 5 })).toMatchObject({ clientTimeMs: 5 })
  }, 60_000)

  test('[RPC-2] unknown APIs and versions that are not served close with 4400 and say what is served', async () => {
    const { url } = await relayWithTopic()
    const refusal = async (key: number, version: number) => {
      const raw = await RawWebSocket.open(url)
      const header = { correlationId: 1, clientId: 'test' }
      const frame = Buffer.from(encodeRequest(metadata, 9, header, { topics: [{ name: 't' }] }))
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

async function inParallel<T>(width: number, items: readonly T[], work: (item: T, worker: number) => Promise<void>) {
  let next = 0
  await Promise.all(
    Array.from({ length: width }, async (_, worker) => {
      while (next < items.length) await work(items[next++]!, worker)
    }),
  )
}
