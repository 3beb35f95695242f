import { execFile } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { decodeResponse, encodeRequest } from '../../protocol/api.ts'
import { Reader } from '../../protocol/bytes/reader.ts'
import { FrameCutter } from '../../protocol/frame.ts'
import { HandClock, systemClock } from '../../protocol/lib/clock.ts'
import { randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import { fetch as fetch_ } from '../../protocol/messages/fetch.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { FROM_START } from '../../protocol/messages/offset-protocol.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
import { LimitedLog } from '../../server/limited-log.ts'
import { createLogger } from '../../server/logger.ts'
import { eventually } from '../support/eventually.ts'
import { recordsIn } from '../support/read-values.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'

const run = promisify(execFile)

async function kcat(address: string, args: readonly string[], input = ''): Promise<string> {
  const child = run('kcat', ['-b', address, ...args], { timeout: 20_000 })
  child.child.stdin?.end(input)
  return (await child).stdout
}

async function open(address: string): Promise<{ socket: Socket; frames: Uint8Array[]; isClosed: () => boolean }> {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  const frames: Uint8Array[] = []
  // An answer in HTTP is no frame, and looks like the beginning of a huge one.
  const cutter = new FrameCutter(2 ** 31 - 1)
  let closed = false
  socket.on('data', (chunk: Buffer) => frames.push(...cutter.push(chunk)))
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
  })
  onTestFinished(() => void socket.destroy())
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  return { socket, frames, isClosed: () => closed }
}

function framed(message: Uint8Array): Buffer {
  const size = Buffer.alloc(4)
  size.writeInt32BE(message.length)
  return Buffer.concat([size, message])
}

function versionsRequest(correlationId: number): Buffer {
  const software = { clientSoftwareName: 'x', clientSoftwareVersion: '1' }
  return framed(encodeRequest(apiVersions, 3, { correlationId, clientId: null }, software))
}

/** Of an empty partition: answered when its time is over. */
function longFetch(topicId: string, maxWaitMs: number, maxBytes = 1000): Buffer {
  const partition = { partition: 0, fetchOffset: 0, partitionMaxBytes: maxBytes }
  const topics = [{ topic: '', topicId, partitions: [partition] }]
  const body = { maxWaitMs, minBytes: 1, maxBytes, isolationLevel: 0, topics, forgottenTopicsData: [] }
  return framed(encodeRequest(fetch_, 13, { correlationId: 1, clientId: null }, body as never))
}

async function brokersSeenFrom(address: string): Promise<string[]> {
  const { socket, frames } = await open(address)
  const body = { topics: [] }
  socket.write(framed(encodeRequest(metadata, 12, { correlationId: 1, clientId: null }, body)))
  const frame = await eventually(() => frames[0])
  const reader = new Reader(frame)
  reader.int32()
  return decodeResponse(metadata, 12, reader).brokers.map(({ host, port }) => `${host}:${port}`)
}

function listeningLogger() {
  const warnings: Array<Record<string, unknown>> = []
  const write = (line: string) => {
    const { level, ...fields } = JSON.parse(line)
    if (level === 'warn') warnings.push(fields)
  }
  return { logger: createLogger({ format: 'json', clock: systemClock, write }), warnings }
}

const relayWithKafka = () => startRelay({ config: { kafkaPort: 0, autoCreateTopics: true } })

test('[KAF-1] kcat writes what a WebSocket subscriber reads, and the other way round', async () => {
  const relay = await relayWithKafka()
  const address = relay.kafka!.address
  await kcat(address, ['-P', '-t', 'shared', '-K:', '-z', 'gzip'], 'k1:from kcat\nk2:again\n')
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.topicId('shared')
  await client.produce(topicId, ['from a page'])
  await client.subscribe(topicId, FROM_START)
  const last = (await client.deliveredTo(3)).at(-1)!
  expect(recordsIn(last.records).at(-1)).toEqual({ offset: 2, value: 'from a page' })
  expect(await kcat(address, ['-C', '-t', 'shared', '-e', '-q', '-f', '%o %k %s\\n'])).toBe(
    '0 k1 from kcat\n1 k2 again\n2  from a page\n',
  )
})

test('[KAF-2] requests in one chunk, and one byte at a time, are answered in order', async () => {
  const relay = await relayWithKafka()
  const { socket, frames } = await open(relay.kafka!.address)
  socket.write(Buffer.concat([versionsRequest(1), versionsRequest(2)]))
  for (const byte of versionsRequest(3)) socket.write(Uint8Array.of(byte))
  await eventually(() => frames.length === 3)
  expect(frames.map((frame) => new Reader(frame).int32())).toEqual([1, 2, 3])
})

const STRANGERS: Array<[name: string, start: Buffer, says: RegExp]> = [
  [
    'HTTP',
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    /HTTP request arrived on the Kafka port; .* http:\/\/127\.0\.0\.1:\d+/,
  ],
  ['HTTP/2', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), /HTTP request/],
  ['TLS', Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]), /TLS client hello .* security\.protocol=PLAINTEXT/],
  ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'), /SSH client/],
  ['a PROXY header', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n'), /PROXY protocol/],
  ['random bytes', Buffer.from('9f3a11c0de', 'hex'), /no Kafka request .* 9f3a11c0/],
]

test.each(STRANGERS)(
  '[KAF-3] %s on the Kafka port is closed with one line that says what came',
  async (...stranger) => {
    const [, start, says] = stranger
    const { logger, warnings } = listeningLogger()
    const relay = await startRelay({ config: { kafkaPort: 0 }, logger })
    const other = await open(relay.kafka!.address)
    const whole = await open(relay.kafka!.address)
    whole.socket.write(start)
    await eventually(whole.isClosed)
    const inBytes = await open(relay.kafka!.address)
    for (const byte of start.subarray(0, 4)) inBytes.socket.write(Uint8Array.of(byte))
    await eventually(inBytes.isClosed)
    expect(warnings).toEqual([
      expect.objectContaining({ event: 'wrong protocol', reason: expect.stringMatching(says) }),
      expect.objectContaining({ event: 'wrong protocol', reason: expect.stringMatching(says) }),
    ])
    other.socket.write(versionsRequest(5))
    await eventually(() => other.frames.length === 1)
  },
)

test('[KAF-3] a browser that opens the Kafka port is told where the page is', async () => {
  const relay = await relayWithKafka()
  const answer = await fetch(`http://${relay.kafka!.address}/`)
  expect({ status: answer.status, text: await answer.text() }).toEqual({
    status: 400,
    text: `an HTTP request arrived on the Kafka port; pages and WebSockets are served at ${relay.http.url}\n`,
  })
})

test('[KAF-3] a frame that is too large, behind good ones, is called that', async () => {
  const { logger, warnings } = listeningLogger()
  const relay = await startRelay({ config: { kafkaPort: 0 }, logger })
  const { socket, frames, isClosed } = await open(relay.kafka!.address)
  socket.write(Buffer.concat([versionsRequest(1), Buffer.from([0x7f, 0xff, 0xff, 0xff])]))
  await eventually(isClosed)
  expect(frames.length).toBe(1)
  expect(warnings).toEqual([
    expect.objectContaining({ event: 'malformed request', reason: expect.stringContaining('at most 8388608') }),
  ])
})

test.each([
  ['a Kafka request', () => versionsRequest(1), /Kafka clients connect to 127\.0\.0\.1:\d+/],
  ['TLS', () => STRANGERS[2]![1], /TLS client hello arrived on the plain HTTP port/],
])('[KAF-35] %s on the HTTP port is closed with one line that says where to go', async (_name, start, says) => {
  const { logger, warnings } = listeningLogger()
  const relay = await startRelay({ config: { kafkaPort: 0 }, logger })
  const { socket, isClosed } = await open(new URL(relay.http.url).host)
  socket.write(start())
  await eventually(isClosed)
  expect(warnings).toEqual([expect.objectContaining({ event: 'wrong protocol', reason: expect.stringMatching(says) })])
})

test('[KAF-36] a scanner fills no log: few lines a minute, then how many there were', async () => {
  const { logger, warnings } = listeningLogger()
  const relay = await startRelay({ config: { kafkaPort: 0 }, logger })
  for (let count = 0; count < 40; count++) {
    const { socket, isClosed } = await open(relay.kafka!.address)
    socket.write(STRANGERS[count % STRANGERS.length]![1])
    await eventually(isClosed)
  }
  expect(warnings.length).toBe(5)
  await relay.close()
  expect(warnings.slice(5)).toEqual([expect.objectContaining({ event: 'wrong protocol', count: 35 })])
})

test('[KAF-36] a minute later lines are written again', () => {
  const { logger, warnings } = listeningLogger()
  const clock = new HandClock()
  const noise = new LimitedLog(logger, clock)
  const warn = (times: number) => {
    for (let count = 0; count < times; count++) noise.warn('knock', { count })
  }
  warn(5)
  clock.advance(60_000)
  expect(warnings.length).toBe(5)
  warn(7)
  expect(warnings.length).toBe(10)
  clock.advance(60_000)
  expect(warnings[10]).toMatchObject({ event: 'knock', count: 2 })
})

test('[KAF-37] a connection over which nothing goes is closed, half a frame or none; one that waits for an answer is not', async () => {
  const relay = await startRelay({ config: { kafkaPort: 0, connectionsMaxIdleMs: 300 } })
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('quiet')
  const silent = await open(relay.kafka!.address)
  const half = await open(relay.kafka!.address)
  half.socket.write(versionsRequest(1).subarray(0, 10))
  const waiting = await open(relay.kafka!.address)
  waiting.socket.write(longFetch(topicId, 1_500))
  await eventually(() => silent.isClosed() && half.isClosed())
  expect({ closed: waiting.isClosed(), answers: waiting.frames.length }).toEqual({ closed: false, answers: 0 })
  await eventually(() => waiting.frames.length === 1)
  await eventually(waiting.isClosed)
})

test('[KAF-39] who does not read what it asked for does not keep its connection, nor the relay from stopping', async () => {
  const { logger, warnings } = listeningLogger()
  const relay = await startRelay({ config: { kafkaPort: 0 }, logger })
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('large')
  for (let index = 0; index < 9; index++) await client.produce(topicId, ['x'.repeat(1_000_000)])
  const stopped = await open(relay.kafka!.address)
  stopped.socket.pause()
  stopped.socket.write(longFetch(topicId, 0, 50_000_000))
  const broken = await open(relay.kafka!.address)
  broken.socket.pause()
  broken.socket.write(longFetch(topicId, 0, 50_000_000))
  await eventually(() => broken.socket.readableLength > 0 && stopped.socket.readableLength > 0)
  broken.socket.write(Uint8Array.of(0, 0, 0, 1, 0))
  await eventually(() => warnings.length > 0)
  // What is sent to a connection that is gone is answered with a reset.
  const isGone = () => {
    broken.socket.write(Uint8Array.of(0))
    return broken.isClosed()
  }
  await eventually(isGone, { everyMs: 100 })
  const before = systemClock.monotonic()
  await relay.close()
  expect(systemClock.monotonic() - before).toBeLessThan(8_000)
}, 20_000)

test('[KAF-38] clients are told the address by which they came, or the one that is advertised', async () => {
  const relay = await startRelay({ config: { kafkaPort: 0, host: '0.0.0.0' } })
  const [, port] = relay.kafka!.address.split(':')
  expect(await brokersSeenFrom(`127.0.0.1:${port}`)).toEqual([`127.0.0.1:${port}`])
  expect(await brokersSeenFrom(`127.0.0.2:${port}`)).toEqual([`127.0.0.2:${port}`])
  const config = { kafkaPort: 0, advertisedHost: 'logs.example.org', advertisedPort: 19_092 }
  const proxied = await startRelay({ config })
  expect(await brokersSeenFrom(proxied.kafka!.address)).toEqual(['logs.example.org:19092'])
})

test('[RPC-17] both doors count towards one limit', async () => {
  const relay = await startRelay({ config: { kafkaPort: 0, maxConnections: 2 } })
  await RelayClient.open(relay.websocket.url)
  const second = await open(relay.kafka!.address)
  const third = await open(relay.kafka!.address)
  await eventually(third.isClosed)
  await expect(RelayClient.open(relay.websocket.url)).rejects.toThrow('503')
  second.socket.destroy()
  await eventually(() => RelayClient.open(relay.websocket.url))
})

test('[KAF-4] a stream cut anywhere gives the same frames', () => {
  const random = seededRandom(7)
  const frames = Array.from({ length: 200 }, () => random.bytes(randomBelow(random, 300)))
  const stream = Buffer.concat(frames.flatMap((frame) => [Uint8Array.of(0, 0, frame.length >> 8, frame.length), frame]))
  for (const longest of [1, 3, 40, 2_000, stream.length]) {
    const cutter = new FrameCutter(1_000)
    const cut: Uint8Array[] = []
    for (let at = 0; at < stream.length; ) {
      const chunk = stream.subarray(at, at + 1 + randomBelow(random, longest))
      cut.push(...cutter.push(chunk))
      at += chunk.length
    }
    expect(cut.map((frame) => Buffer.from(frame).toString('hex'))).toEqual(
      frames.map((frame) => Buffer.from(frame).toString('hex')),
    )
    expect(cutter.heldBytes).toBe(0)
  }
})

test('[KAF-4] a declared size takes no memory: only what has come is held', () => {
  const cutter = new FrameCutter(8 * 1024 * 1024)
  expect([...cutter.push(Uint8Array.of(0, 0x7f, 0xff, 0xff, 1, 2, 3))]).toEqual([])
  expect(cutter.heldBytes).toBe(7)
  expect(() => [...new FrameCutter(1000).push(Uint8Array.of(0x7f, 0xff, 0xff, 0xff))]).toThrow('at most 1000')
  expect(() => [...new FrameCutter(1000).push(Uint8Array.of(0xff, 0xff, 0xff, 0xff))]).toThrow('-1 bytes')
})
