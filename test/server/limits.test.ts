/** What connections may cost: how many, how large, how slow, and what becomes of those that break off. */
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../protocol/lib/clock.ts'
import { ping } from '../../protocol/messages/offset-protocol.ts'
import { createLogger } from '../../server/logger.ts'
import { eventually } from '../support/eventually.ts'
import { startRelay } from '../support/relay.ts'
import { batchOf, RelayClient } from '../support/relay-client.ts'
import { startChildRelay } from './support/child-relay.ts'
import { RawWebSocket, rawFrame, upgradeRequest } from './support/raw-web-socket.ts'
import { bytesOf, validRequests } from './support/valid-requests.ts'

const MIB = 1024 * 1024
const pingFrame = bytesOf(
  validRequests({ name: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' }).find(({ api }) => api.key === ping.key)!,
)

async function answersPing(client: RelayClient): Promise<void> {
  expect(await client.call(ping, { clientTimeMs: 5 })).toMatchObject({ clientTimeMs: 5 })
}

describe('sizes', () => {
  test('[RPC-14] a message at the limit is read, one byte more closes with 1009, announced or not', async () => {
    const maxRequestBytes = 2 * MIB
    const relay = await startRelay({ config: { maxRequestBytes } })
    const healthy = await RelayClient.open(relay.websocket.url)
    const padded = (sizeBytes: number) => Buffer.concat([pingFrame, Buffer.alloc(sizeBytes - pingFrame.length)])
    const within = await RawWebSocket.open(relay.websocket.url)
    within.send(padded(maxRequestBytes))
    await eventually(() => within.messages.length === 1)
    const above = await RawWebSocket.open(relay.websocket.url)
    above.send(padded(maxRequestBytes + 1))
    expect(await above.waitForClose()).toMatchObject({ code: 1009 })
    const announced = await RawWebSocket.open(relay.websocket.url)
    announced.send(new Uint8Array(0), { declaredBytes: 2 ** 31 - 1 })
    expect(await announced.waitForClose()).toMatchObject({ code: 1009 })
    const huge = await RawWebSocket.open(relay.websocket.url)
    huge.send(new Uint8Array(0), { declaredBytes: 2 ** 53 })
    expect(await huge.waitForClose()).toMatchObject({ code: 1009 })
    const inParts = await RawWebSocket.open(relay.websocket.url)
    inParts.send(padded(maxRequestBytes), { fin: false })
    inParts.send(padded(1000), { opcode: 0 })
    expect(await inParts.waitForClose()).toMatchObject({ code: 1009 })
    await answersPing(healthy)
  })

  test('[RPC-15] a request in 64 fragments is read; more close with 1008, endless tiny ones too', async () => {
    const relay = await startRelay()
    const healthy = await RelayClient.open(relay.websocket.url)
    const inFragments = (count: number) => {
      const frames = Array.from({ length: count }, (_, index) => {
        const part = index < pingFrame.length ? pingFrame.subarray(index, index + 1) : new Uint8Array(0)
        return rawFrame(part, { opcode: index === 0 ? 2 : 0, fin: index === count - 1 })
      })
      return Buffer.concat(frames)
    }
    const within = await RawWebSocket.open(relay.websocket.url)
    within.socket.write(inFragments(64))
    await eventually(() => within.messages.length === 1)
    const above = await RawWebSocket.open(relay.websocket.url)
    above.socket.write(inFragments(66))
    expect(await above.waitForClose()).toMatchObject({ code: 1008 })
    const endless = await RawWebSocket.open(relay.websocket.url)
    endless.send(pingFrame.subarray(0, 1), { fin: false })
    for (let index = 0; index < 10_000; index++) endless.send(new Uint8Array(0), { opcode: 0, fin: false })
    expect(await endless.waitForClose()).toMatchObject({ code: 1008 })
    await answersPing(healthy)
  })

  test('[RPC-16] what is no WebSocket frame closes with 1002', async () => {
    const relay = await startRelay()
    const broken: Buffer[] = [
      rawFrame(pingFrame, { masked: false }),
      rawFrame(pingFrame, { opcode: 3 }),
      rawFrame(pingFrame, { opcode: 0 }),
      rawFrame(new Uint8Array(10), { opcode: 9, fin: false }),
      rawFrame(new Uint8Array(126), { opcode: 9 }),
      rawFrame(new Uint8Array(1), { opcode: 8 }),
      Buffer.from([0xc2, 0x80, 0, 0, 0, 0]),
    ]
    for (const bytes of broken) {
      const raw = await RawWebSocket.open(relay.websocket.url)
      raw.socket.write(bytes)
      expect(await raw.waitForClose(), bytes.subarray(0, 8).toString('hex')).toMatchObject({ code: 1002 })
    }
  })
})

describe('numbers', () => {
  test('[RPC-17] connections above the limit get 503, are counted, and leave room again when others go', async () => {
    const events: Array<{ event: string; count?: number }> = []
    const logger = createLogger({
      format: 'json',
      clock: systemClock,
      write: (line) => events.push(JSON.parse(line)),
    })
    const relay = await startRelay({ config: { maxConnections: 20 }, logger })
    const open = await Promise.all(Array.from({ length: 20 }, () => RelayClient.open(relay.websocket.url)))
    const refused = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const raw = await RawWebSocket.dial(relay.websocket.url)
        raw.socket.write(upgradeRequest())
        await raw.waitForEnd()
        return raw.status
      }),
    )
    expect(refused.every((status) => status?.includes('503'))).toBe(true)
    await Promise.all(open.map(answersPing))
    open[0]!.socket.terminate()
    const next = await eventually(() => RelayClient.open(relay.websocket.url))
    await answersPing(next)
    await expect(RelayClient.open(relay.websocket.url)).rejects.toThrow('503')
    await relay.close()
    const told = events.filter(({ event }) => event === 'connections refused').map(({ count = 1 }) => count)
    expect(told.reduce((sum, count) => sum + count, 0)).toBe(201)
    expect(told.length).toBeLessThan(10)
  })

  test('[RPC-18] one address has a limit of its own', async () => {
    const relay = await startRelay({ config: { maxConnectionsPerIp: 3 } })
    for (let index = 0; index < 3; index++) await RelayClient.open(relay.websocket.url)
    await expect(RelayClient.open(relay.websocket.url)).rejects.toThrow('503')
  })

  test('[RPC-19] a refused peer that keeps its half of the connection open does not keep the relay from stopping', async () => {
    const relay = await startRelay({ config: { maxConnections: 1 } })
    await RelayClient.open(relay.websocket.url)
    const refusals: Array<[string, string]> = [
      [upgradeRequest(), '503'],
      [upgradeRequest({}, '/elsewhere'), '404'],
      [upgradeRequest({ Origin: 'https://evil.test' }), '403'],
    ]
    for (const [request, status] of refusals) {
      const raw = await RawWebSocket.dial(relay.websocket.url)
      raw.socket.write(request)
      await raw.waitForEnd()
      expect(raw.status).toContain(status)
    }
    const startedAt = performance.now()
    await relay.close()
    expect(performance.now() - startedAt).toBeLessThan(8_000)
  })

  test('[RPC-20] 2,000 half handshakes and slow headers cost little, hold nobody up, and are ended', async () => {
    const relay = await startChildRelay({ config: { httpPort: 0, dataDir: '/data' }, inMemory: true })
    const healthy = await RelayClient.open(relay.websocket)
    const before = await relay.report()
    const half: RawWebSocket[] = []
    for (let batch = 0; batch < 20; batch++) {
      half.push(...(await Promise.all(Array.from({ length: 100 }, () => RawWebSocket.dial(relay.websocket)))))
    }
    for (const [index, raw] of half.entries()) if (index % 2) raw.socket.write(upgradeRequest().slice(0, 40))
    const dripping = setInterval(() => {
      for (const raw of half.slice(0, 50)) if (!raw.isGone) raw.socket.write('X-Slow: 1\r\n')
    }, 1000)
    await answersPing(healthy)
    const during = await relay.report()
    expect(during.rssBytes - before.rssBytes).toBeLessThan(128 * MIB)
    await eventually(() => half.every(({ isGone }) => isGone), { withinMs: 20_000, everyMs: 200 })
    clearInterval(dripping)
    await answersPing(healthy)
    expect((await relay.report()).uncaught).toEqual([])
  }, 40_000)
})

describe('broken off', () => {
  test('[RPC-21] a reset, an end, or garbage at any stage ends that connection and nothing else', async () => {
    const relay = await startChildRelay({ config: { httpPort: 0, dataDir: '/data' }, inMemory: true })
    const healthy = await RelayClient.open(relay.websocket)
    const topicId = await healthy.createTopic('t')
    const requests = validRequests({ name: 't', topicId })
    const [produced, fetched, subscribed] = ['Produce', 'Fetch', 'Subscribe'].map((name) =>
      rawFrame(bytesOf(requests.find(({ api }) => api.name === name)!)),
    ) as [Buffer, Buffer, Buffer]
    const upgrade = Buffer.from(upgradeRequest())
    const stages: Array<[name: string, isUpgraded: boolean, bytes: Buffer]> = [
      ['connected', false, Buffer.alloc(0)],
      ['in the request line', false, upgrade.subarray(0, 3)],
      ['in a header', false, upgrade.subarray(0, 50)],
      ['before the last line', false, upgrade.subarray(0, -2)],
      ['upgrade sent', false, upgrade],
      ['upgrade and frame sent', false, Buffer.concat([upgrade, produced])],
      ['a page asked for', false, Buffer.from('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')],
      ['a body announced', false, Buffer.from('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc')],
      ['upgraded', true, Buffer.alloc(0)],
      ['first byte of a frame', true, produced.subarray(0, 1)],
      ['in a frame header', true, produced.subarray(0, 3)],
      ['in the mask', true, produced.subarray(0, 5)],
      ['in the message', true, produced.subarray(0, 40)],
      ['a write sent', true, produced],
      ['many writes sent', true, Buffer.concat(Array.from({ length: 200 }, () => produced))],
      ['a fetch sent', true, fetched],
      ['subscribed', true, subscribed],
      ['in a fragmented message', true, rawFrame(pingFrame, { fin: false })],
      ['a ping sent', true, rawFrame(new Uint8Array(4), { opcode: 9 })],
      ['a close sent', true, rawFrame(Buffer.from([3, 232]), { opcode: 8 })],
      ['half a close sent', true, rawFrame(Buffer.from([3, 232]), { opcode: 8 }).subarray(0, 4)],
    ]
    const ends: Array<[string, (raw: RawWebSocket) => void]> = [
      ['reset', (raw) => raw.reset()],
      ['end', (raw) => raw.socket.end()],
      ['garbage', (raw) => raw.socket.write(Buffer.alloc(300, 0xee))],
      ['destroy', (raw) => raw.socket.destroy()],
    ]
    let count = 0
    for (const [, isUpgraded, bytes] of stages) {
      for (const [, end] of ends) {
        for (let round = 0; round < 3; round++) {
          const raw = isUpgraded ? await RawWebSocket.open(relay.websocket) : await RawWebSocket.dial(relay.websocket)
          raw.socket.write(bytes)
          if (round > 0) await new Promise((resolve) => setImmediate(resolve))
          if (round > 1) await answersPing(healthy)
          end(raw)
          count++
        }
      }
    }
    expect(count).toBe(stages.length * ends.length * 3)
    await answersPing(healthy)
    expect(await healthy.produce(topicId, batchOf('x'))).toMatchObject({ errorCode: 0 })
    const { uncaught, errors } = await relay.report()
    expect({ uncaught, errors }).toEqual({ uncaught: [], errors: [] })
  }, 30_000)
})
