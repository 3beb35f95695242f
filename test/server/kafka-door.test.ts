import { execFile } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { encodeRequest } from '../../protocol/api.ts'
import { Reader } from '../../protocol/bytes/reader.ts'
import { FrameCutter } from '../../protocol/frame.ts'
import { FROM_START } from '../../protocol/messages/offset-protocol.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
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
  const cutter = new FrameCutter(1_000_000)
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
  const request = (correlationId: number) =>
    framed(
      encodeRequest(
        apiVersions,
        3,
        { correlationId, clientId: null },
        { clientSoftwareName: 'x', clientSoftwareVersion: '1' },
      ),
    )
  socket.write(Buffer.concat([request(1), request(2)]))
  for (const byte of request(3)) socket.write(Uint8Array.of(byte))
  await eventually(() => frames.length === 3)
  expect(frames.map((frame) => new Reader(frame).int32())).toEqual([1, 2, 3])
})

test('[KAF-3] HTTP and TLS on the Kafka port are closed; others are not disturbed', async () => {
  const relay = await relayWithKafka()
  const other = await open(relay.kafka!.address)
  for (const start of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.from([0x16, 3, 1, 2, 0, 1])]) {
    const { socket, isClosed } = await open(relay.kafka!.address)
    socket.write(start)
    await eventually(isClosed)
  }
  other.socket.write(
    framed(
      encodeRequest(
        apiVersions,
        0,
        { correlationId: 5, clientId: null },
        { clientSoftwareName: '', clientSoftwareVersion: '' },
      ),
    ),
  )
  await eventually(() => other.frames.length === 1)
})

test('[KAF-4] a declared size takes no memory: only what has come is held', () => {
  const cutter = new FrameCutter(8 * 1024 * 1024)
  expect([...cutter.push(Uint8Array.of(0, 0x7f, 0xff, 0xff, 1, 2, 3))]).toEqual([])
  expect(cutter.heldBytes).toBe(7)
  expect(() => [...new FrameCutter(1000).push(Uint8Array.of(0x7f, 0xff, 0xff, 0xff))]).toThrow('at most 1000')
  expect(() => [...new FrameCutter(1000).push(Uint8Array.of(0xff, 0xff, 0xff, 0xff))]).toThrow('-1 bytes')
})
