/** What every transport does, whatever carries its messages. A peer of the same kind stands at the other end. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { CloseReason, Transport, TransportConnection } from '../../client/transport/transport.ts'
import { eventually } from '../support/eventually.ts'

/** One connection as its other end sees it. */
export interface PeerEnd {
  readonly received: Uint8Array[]
  send(message: Uint8Array): void
  /** Reads nothing until `resume`. */
  pause(): void
  resume(): void
  /** Ends it without a word. */
  cut(): void
  readonly isGone: boolean
}

export interface TransportPeer {
  readonly url: string
  readonly ends: PeerEnd[]
  close(): Promise<void>
}

interface Case {
  transport(): Transport | Promise<Transport>
  startPeer(): Promise<TransportPeer>
  /** An address at which nobody listens, and one that is none. */
  deadUrl: string
  badUrl: string
}

const MIB = 1024 * 1024
const numbered = (count: number, sizeBytes: number) =>
  Array.from({ length: count }, (_, index) => new Uint8Array(sizeBytes).fill(index))

export function transportContract({ transport: makeTransport, startPeer, deadUrl, badUrl }: Case): void {
  let peer: TransportPeer
  let transport: Transport
  beforeEach(async () => {
    transport = await makeTransport()
    peer = await startPeer()
  })
  afterEach(() => peer.close())

  function open(url = peer.url) {
    const log: string[] = []
    const messages: Uint8Array[] = []
    const closes: CloseReason[] = []
    let hasReturned = false
    const note = (what: string) => {
      expect(hasReturned).toBe(true)
      expect(closes.length).toBe(0)
      log.push(what)
    }
    const connection: TransportConnection = transport.open(url, {
      onOpen: () => note('open'),
      onMessage: (message) => {
        note('message')
        messages.push(message)
      },
      onClose: (reason) => {
        expect(hasReturned).toBe(true)
        log.push('close')
        closes.push(reason)
      },
    })
    hasReturned = true
    return { connection, log, messages, closes }
  }
  const opened = async () => {
    const client = open()
    await eventually(() => client.log[0] === 'open' && peer.ends.length === 1)
    return { ...client, end: peer.ends[0]! }
  }

  test('messages arrive whole and in order, both ways, small and large', async () => {
    const { connection, messages, end } = await opened()
    const sent = [Uint8Array.of(1), ...numbered(200, 100), new Uint8Array(3 * MIB).fill(7), Uint8Array.of(2)]
    for (const message of sent) connection.send(message)
    for (const message of sent) end.send(message)
    await eventually(() => end.received.length === sent.length && messages.length === sent.length)
    for (const [index, message] of sent.entries()) {
      expect(Buffer.compare(end.received[index]!, message)).toBe(0)
      expect(Buffer.compare(messages[index]!, message)).toBe(0)
    }
    connection.close(1000, 'done')
  })

  test('a message that came is the receiver’s: later ones do not change it', async () => {
    const { connection, messages, end } = await opened()
    end.send(new Uint8Array(1000).fill(1))
    await eventually(() => messages.length === 1)
    for (const message of numbered(50, 1000)) end.send(message)
    await eventually(() => messages.length === 51)
    expect(messages[0]!.every((byte) => byte === 1)).toBe(true)
    connection.close(1000, 'done')
  })

  test('nobody there: closed once, never opened, and the reason says so', async () => {
    const { log, closes } = open(deadUrl)
    await eventually(() => closes.length === 1)
    expect(log).toEqual(['close'])
    expect(closes[0]).toMatchObject({ code: 1006, by: 'relay', reason: expect.stringContaining('ECONNREFUSED') })
  })

  test('an address that is none is refused at once', () => {
    expect(() => open(badUrl)).toThrow(badUrl)
  })

  test('the other side cuts it: closed once, what is sent later goes nowhere', async () => {
    const { connection, log, closes, end } = await opened()
    end.cut()
    await eventually(() => closes.length === 1)
    expect(closes[0]).toMatchObject({ code: 1006, by: 'relay' })
    connection.send(Uint8Array.of(1))
    connection.close(1000, 'again')
    expect(log).toEqual(['open', 'close'])
  })

  test.each([1000, 4408])('closing with %i tells at once, once, and nothing comes after', async (code) => {
    const { connection, log, closes, end } = await opened()
    connection.close(code, 'enough')
    expect(closes).toEqual([{ code, reason: 'enough', by: 'us' }])
    end.send(Uint8Array.of(1))
    connection.close(code, 'again')
    await eventually(() => end.isGone)
    expect(log).toEqual(['open', 'close'])
  })

  test('closing before it has opened: closed, and never opened', async () => {
    const { connection, log } = open()
    connection.close(4408, 'too slow')
    connection.send(Uint8Array.of(1))
    await eventually(() => peer.ends.every(({ isGone }) => isGone))
    expect(log).toEqual(['close'])
  })

  test('what was sent before a normal close still arrives', async () => {
    const { connection, end } = await opened()
    for (const message of numbered(20, 64 * 1024)) connection.send(message)
    connection.close(1000, 'done')
    await eventually(() => end.isGone)
    expect(end.received.length).toBe(20)
  })

  test('what the network does not take is counted until it does', async () => {
    const { connection, end } = await opened()
    end.pause()
    await eventually(() => {
      connection.send(new Uint8Array(MIB))
      return connection.bufferedBytes > 4 * MIB
    })
    end.resume()
    await eventually(() => connection.bufferedBytes === 0)
    connection.close(1000, 'done')
  })
}
