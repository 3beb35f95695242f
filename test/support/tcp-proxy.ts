/**
 * A userland TCP proxy on 127.0.0.1 that can spoil a connection in the ways networks do: what a page-level
 * "offline" switch cannot do to a SharedWorker, this does to every process alike.
 *
 * Modes apply to connections that exist and to those that come, from the moment they are set:
 *  - pass        bytes flow both ways
 *  - close       every connection ends with FIN; new ones are accepted and ended at once
 *  - reset       every connection ends with RST; new ones likewise
 *  - black-hole  nothing flows, nothing ends; new connections are accepted and never answered
 *  - stall       what the client sends still arrives, nothing comes back, and the relay feels back-pressure
 *  - drop-down   what the client sends arrives; what the relay sends is read and thrown away ("lost acks")
 *  - slow        both ways, at `bytesPerSecond` each
 * A connection that lost bytes (drop-down) is reset on the next mode change, since its stream has a hole.
 */
import { once } from 'node:events'
import { createServer, connect as dial, type Server, type Socket } from 'node:net'

export type ProxyMode = 'pass' | 'close' | 'reset' | 'black-hole' | 'stall' | 'drop-down' | 'slow'

export interface ProxyCounters {
  accepted: number
  open: number
  /** Client to relay, forwarded. */
  bytesUp: number
  /** Relay to client, forwarded. */
  bytesDown: number
  bytesDropped: number
}

const SLOW_TICK_MS = 10

/** One direction of one connection. Pausing the source is what makes a sender feel that nothing is read. */
class Lane {
  readonly source: Socket
  readonly target: Socket
  readonly count: (bytes: number) => void
  allowance = Number.POSITIVE_INFINITY

  constructor(source: Socket, target: Socket, count: (bytes: number) => void) {
    this.source = source
    this.target = target
    this.count = count
  }

  forward(chunk: Buffer): void {
    this.count(chunk.length)
    this.allowance -= chunk.length
    const roomLeft = this.target.write(chunk)
    if (!roomLeft || this.allowance <= 0) this.source.pause()
    if (!roomLeft) this.target.once('drain', () => this.resumeIfAllowed())
  }

  resumeIfAllowed(): void {
    if (this.allowance > 0 && !this.target.writableNeedDrain) this.source.resume()
  }
}

interface Pair {
  client: Socket
  relay: Socket
  up: Lane
  down: Lane
  hasHole: boolean
}

export class TcpProxy {
  readonly counters: ProxyCounters = { accepted: 0, open: 0, bytesUp: 0, bytesDown: 0, bytesDropped: 0 }
  port = 0
  private readonly target: { host: string; port: number }
  private readonly server: Server
  private readonly pairs = new Set<Pair>()
  private readonly idle = new Set<Socket>()
  private current: ProxyMode = 'pass'
  private bytesPerSecond = 0
  private slowTimer: NodeJS.Timeout | undefined

  constructor(target: { host: string; port: number }) {
    this.target = target
    // allowHalfOpen: a FIN is passed on as a FIN, never answered by the proxy itself.
    this.server = createServer({ allowHalfOpen: true }, (client) => this.accept(client))
  }

  async listen(): Promise<this> {
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
    const address = this.server.address()
    if (address === null || typeof address === 'string') throw new Error(`proxy has no TCP address: ${address}`)
    this.port = address.port
    return this
  }

  get mode(): ProxyMode {
    return this.current
  }

  setMode(mode: ProxyMode, options: { bytesPerSecond?: number } = {}): void {
    this.current = mode
    clearInterval(this.slowTimer)
    if (mode === 'slow') this.startSlow(options.bytesPerSecond ?? 64 * 1024)
    if (mode === 'close' || mode === 'reset') for (const socket of this.idle) end(socket, mode)
    else if (mode !== 'black-hole') this.joinIdle()
    for (const pair of this.pairs) this.apply(pair)
  }

  /** Points new connections at another port, for a relay that came back elsewhere. */
  retarget(port: number): void {
    this.target.port = port
  }

  async close(): Promise<void> {
    clearInterval(this.slowTimer)
    for (const pair of this.pairs) {
      pair.client.destroy()
      pair.relay.destroy()
    }
    for (const socket of this.idle) socket.destroy()
    if (!this.server.listening) return
    this.server.close()
    await once(this.server, 'close')
  }

  private accept(client: Socket): void {
    client.on('error', () => client.destroy())
    this.counters.accepted++
    if (this.current === 'close' || this.current === 'reset') {
      end(client, this.current)
      return
    }
    if (this.current === 'black-hole') {
      this.idle.add(client)
      client.once('close', () => this.idle.delete(client))
      return
    }
    this.join(client)
  }

  private joinIdle(): void {
    for (const client of this.idle) this.join(client)
    this.idle.clear()
  }

  private join(client: Socket): void {
    const relay = dial({ host: this.target.host, port: this.target.port, allowHalfOpen: true })
    client.setNoDelay(true)
    relay.setNoDelay(true)
    const up = new Lane(client, relay, (bytes) => (this.counters.bytesUp += bytes))
    const down = new Lane(relay, client, (bytes) => (this.counters.bytesDown += bytes))
    const pair: Pair = { client, relay, up, down, hasHole: false }
    this.pairs.add(pair)
    this.counters.open++
    relay.on('error', () => relay.destroy())
    client.on('data', (chunk: Buffer) => up.forward(chunk))
    relay.on('data', (chunk: Buffer) => this.fromRelay(pair, chunk))
    client.on('end', () => relay.end())
    relay.on('end', () => client.end())
    client.once('close', () => this.part(pair))
    relay.once('close', () => this.part(pair))
    this.apply(pair)
  }

  private fromRelay(pair: Pair, chunk: Buffer): void {
    if (this.current !== 'drop-down') {
      pair.down.forward(chunk)
      return
    }
    this.counters.bytesDropped += chunk.length
    pair.hasHole = true
  }

  private part(pair: Pair): void {
    if (!this.pairs.delete(pair)) return
    this.counters.open--
    // What was still under way to the other side is written before it ends.
    if (pair.relay.destroyed && !pair.client.destroyed) pair.client.destroySoon()
    if (pair.client.destroyed && !pair.relay.destroyed) pair.relay.destroySoon()
  }

  private apply(pair: Pair): void {
    if (this.current === 'close' || this.current === 'reset') {
      end(pair.client, this.current)
      end(pair.relay, this.current)
      return
    }
    if (pair.hasHole && this.current !== 'drop-down') {
      end(pair.client, 'reset')
      end(pair.relay, 'reset')
      return
    }
    const allowance = this.current === 'slow' ? 0 : Number.POSITIVE_INFINITY
    pair.up.allowance = this.current === 'black-hole' ? 0 : allowance
    pair.down.allowance = this.current === 'black-hole' || this.current === 'stall' ? 0 : allowance
    for (const lane of [pair.up, pair.down]) {
      if (lane.allowance > 0) lane.resumeIfAllowed()
      else lane.source.pause()
    }
  }

  private startSlow(bytesPerSecond: number): void {
    this.bytesPerSecond = bytesPerSecond
    const share = (this.bytesPerSecond * SLOW_TICK_MS) / 1000
    this.slowTimer = setInterval(() => {
      for (const { up, down } of this.pairs) {
        for (const lane of [up, down]) {
          lane.allowance = Math.min(lane.allowance + share, share * 10)
          lane.resumeIfAllowed()
        }
      }
    }, SLOW_TICK_MS)
  }
}

function end(socket: Socket, how: 'close' | 'reset'): void {
  if (how === 'reset') socket.resetAndDestroy()
  else socket.destroySoon()
}

/** Starts a proxy in front of `target`; its port is chosen by the system. */
export function startTcpProxy(target: { host?: string; port: number }): Promise<TcpProxy> {
  return new TcpProxy({ host: target.host ?? '127.0.0.1', port: target.port }).listen()
}
