/** The transports of the client, each against a peer of its kind. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { brokerAddresses } from '../../client/transport/kafka-url.ts'
import { tcpTransport } from '../../client/transport/tcp.ts'
import { webSocketTransport } from '../../client/transport/websocket.ts'
import { findWebSocket } from '../../client/transport/ws-package.ts'
import { FrameCutter } from '../../protocol/frame.ts'
import { type PeerEnd, type TransportPeer, transportContract } from '../contract/transport.ts'
import { eventually } from '../support/eventually.ts'

describe('WebSocket', () => {
  transportContract({
    transport: async () => webSocketTransport(await findWebSocket()),
    startPeer: startWebSocketPeer,
    deadUrl: 'ws://127.0.0.1:9',
    badUrl: 'http:/nowhere:x',
  })
})

describe('TCP', () => {
  transportContract({
    transport: tcpTransport,
    startPeer: startTcpPeer,
    deadUrl: 'kafka://127.0.0.1:9',
    badUrl: 'kafka://nowhere:99999',
  })

  test('a message in any pieces is whole', async () => {
    const peer = await startTcpPeer()
    const messages: Uint8Array[] = []
    const handlers = { onOpen: () => {}, onMessage: (message: Uint8Array) => messages.push(message), onClose: () => {} }
    const connection = tcpTransport().open(peer.url, {
      ...handlers,
      onMessage: (message) => void messages.push(message),
    })
    const socket = await eventually(() => peer.sockets[0])
    for (const byte of [0, 0, 0, 3, 7, 8, 9, 0, 0, 0, 1]) {
      socket.write(Uint8Array.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    socket.write(Uint8Array.of(5, 0, 0, 0, 0))
    await eventually(() => messages.length === 3)
    expect(messages.map((message) => [...message])).toEqual([[7, 8, 9], [5], []])
    connection.close(1000, '')
    await peer.close()
  })

  test('a size that no message has closes with 4400, and takes no memory', async () => {
    const peer = await startTcpPeer()
    const closes: unknown[] = []
    tcpTransport().open(peer.url, { onOpen() {}, onMessage() {}, onClose: (reason) => closes.push(reason) })
    const socket = await eventually(() => peer.sockets[0])
    socket.write(Uint8Array.of(0x7f, 0xff, 0xff, 0xff))
    await eventually(() => closes.length === 1)
    expect(closes).toEqual([{ code: 4400, by: 'us', reason: expect.stringContaining('2147483647 bytes') }])
    await peer.close()
  })

  test('of several addresses the next is tried when one is dead', async () => {
    const peer = await startTcpPeer()
    const transport = tcpTransport()
    const url = `kafka://127.0.0.1:9,${new URL(peer.url).host}`
    const outcomes: string[] = []
    for (let attempt = 0; attempt < 2; attempt++) {
      const connection = transport.open(url, {
        onOpen: () => outcomes.push('open'),
        onMessage() {},
        onClose: () => outcomes.push('close'),
      })
      await eventually(() => outcomes.length > attempt)
      connection.close(1000, '')
    }
    expect(outcomes).toEqual(['close', 'open', 'close'])
    await peer.close()
  })
})

test.each([
  ['kafka://broker', [{ host: 'broker', port: 9092 }]],
  ['tcp://127.0.0.1:19092/', [{ host: '127.0.0.1', port: 19092 }]],
  [
    'kafka://a:1, b:2',
    [
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ],
  ],
  ['kafka://[::1]:9092', [{ host: '::1', port: 9092 }]],
])('%s', (url, addresses) => {
  expect(brokerAddresses(url)).toEqual(addresses)
})

test.each(['kafka://', 'kafka://:9092', 'kafka://a:0', 'kafka://a:70000', 'kafka://a/b', 'kafka://a,,b'])(
  '%s is no address',
  (url) => {
    expect(() => brokerAddresses(url)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  },
)

async function startWebSocketPeer(): Promise<TransportPeer> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await new Promise((resolve) => server.once('listening', resolve))
  const ends: PeerEnd[] = []
  server.on('connection', (socket) => {
    const received: Uint8Array[] = []
    socket.on('message', (data: Buffer) => received.push(data))
    socket.on('error', () => {})
    ends.push({
      received,
      send: (message) => socket.send(message),
      pause: () => socket.pause(),
      resume: () => socket.resume(),
      cut: () => socket.terminate(),
      get isGone() {
        return socket.readyState === socket.CLOSED
      },
    })
  })
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ends,
    close: async () => {
      for (const client of server.clients) client.terminate()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function startTcpPeer(): Promise<TransportPeer & { sockets: Socket[] }> {
  const sockets: Socket[] = []
  const ends: PeerEnd[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    ends.push(tcpEnd(socket))
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    url: `kafka://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ends,
    sockets,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function tcpEnd(socket: Socket): PeerEnd {
  const received: Uint8Array[] = []
  const cutter = new FrameCutter(2 ** 30)
  let isGone = false
  socket.on('data', (chunk) => received.push(...cutter.push(chunk)))
  socket.on('error', () => {})
  socket.on('close', () => {
    isGone = true
  })
  return {
    received,
    send(message) {
      const size = Buffer.alloc(4)
      size.writeInt32BE(message.length)
      socket.write(size)
      socket.write(message)
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    cut: () => socket.destroy(),
    get isGone() {
      return isGone
    },
  }
}
