/** The proxy that other tests rely on does what its modes say. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

let echo: Server
let proxy: TcpProxy
let received = 0
const sockets: Socket[] = []

beforeEach(async () => {
  received = 0
  echo = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => {
      received += chunk.length
      socket.write(chunk)
    })
  })
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const address = echo.address()
  if (address === null || typeof address === 'string') throw new Error('no address')
  proxy = await startTcpProxy({ port: address.port })
})

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await proxy.close()
  echo.close()
})

async function dial() {
  const socket = connect(proxy.port, '127.0.0.1')
  const seen = { bytes: 0, error: '', isEnded: false }
  socket.on('data', (chunk) => {
    seen.bytes += chunk.length
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    seen.error = error.code ?? error.message
  })
  socket.on('end', () => {
    seen.isEnded = true
  })
  sockets.push(socket)
  await once(socket, 'connect')
  return { socket, seen }
}

test('pass: bytes flow and are counted', async () => {
  const { socket, seen } = await dial()
  socket.write('hello')
  await eventually(() => seen.bytes === 5)
  expect(proxy.counters).toEqual({ accepted: 1, open: 1, bytesUp: 5, bytesDown: 5, bytesDropped: 0 })
})

test('close ends with FIN, reset with RST, for old and new connections', async () => {
  const closed = await dial()
  closed.socket.write('x')
  await eventually(() => closed.seen.bytes === 1)
  proxy.setMode('close')
  await eventually(() => closed.seen.isEnded)
  expect(closed.seen.error).toBe('')
  proxy.setMode('pass')
  const reset = await dial()
  reset.socket.write('x')
  await eventually(() => reset.seen.bytes === 1)
  proxy.setMode('reset')
  await eventually(() => reset.seen.error === 'ECONNRESET')
  await eventually(() => proxy.counters.open === 0)
})

test('black-hole: nothing moves, nothing ends, and everything goes on afterwards', async () => {
  const { socket, seen } = await dial()
  socket.write('a')
  await eventually(() => seen.bytes === 1)
  proxy.setMode('black-hole')
  socket.write('bc')
  const second = await dial()
  second.socket.write('d')
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(received).toBe(1)
  proxy.setMode('pass')
  await eventually(() => seen.bytes === 3 && second.seen.bytes === 1)
  expect(seen).toMatchObject({ error: '', isEnded: false })
})

test('stall: what the client says arrives, no answer comes back until it is lifted', async () => {
  const { socket, seen } = await dial()
  socket.write('a')
  await eventually(() => seen.bytes === 1)
  proxy.setMode('stall')
  socket.write('bcd')
  await eventually(() => received === 4)
  expect(seen.bytes).toBe(1)
  proxy.setMode('pass')
  await eventually(() => seen.bytes === 4)
})

test('drop-down: acks are lost, and the spoiled connection is reset on the next mode', async () => {
  const { socket, seen } = await dial()
  socket.write('a')
  await eventually(() => seen.bytes === 1)
  proxy.setMode('drop-down')
  socket.write('bcd')
  await eventually(() => proxy.counters.bytesDropped === 3)
  expect([received, seen.bytes]).toEqual([4, 1])
  proxy.setMode('pass')
  await eventually(() => seen.error === 'ECONNRESET')
})

test('slow: the rate is kept', async () => {
  const { socket, seen } = await dial()
  proxy.setMode('slow', { bytesPerSecond: 500_000 })
  const startedAt = performance.now()
  socket.write(Buffer.alloc(300_000))
  await eventually(() => seen.bytes === 300_000)
  expect(performance.now() - startedAt).toBeGreaterThan(300)
})
