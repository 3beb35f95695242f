/**
 * Machines and what lies between them. Connections have their own pace; they hang when the way is blocked, break, stay
 * half open when one side loses power, and never mix up the order of their own bytes. Two connections know nothing of
 * each other, so what was sent on the older may well arrive after what was sent on the newer.
 */

import { ClientSocket, type SocketHandlers } from './client-socket.ts'
import type { Dice } from './dice.ts'
import { Pipe } from './pipe.ts'
import type { Probes } from './probes.ts'
import type { Process, WallClock } from './process.ts'
import type { Scheduler } from './scheduler.ts'
import { ServerSocket } from './server-socket.ts'
import type { Trace } from './trace.ts'

export type Door = 'websocket' | 'kafka'

export interface Host {
  readonly name: string
  readonly wall: WallClock
  /** Of the way between this machine and the others. */
  latencyMs: number
  bytesPerMs: number
  isUp: boolean
  readonly doors: Map<Door, { process: Process; accept(socket: ServerSocket): void }>
}

interface Connection {
  readonly name: string
  readonly from: Host
  readonly to: Host
  readonly up: Pipe
  readonly down: Pipe
  readonly client: ClientSocket
  readonly server: ServerSocket
}

const SYN_RETRIES = 5

export interface NetworkOptions {
  scheduler: Scheduler
  trace: Trace
  probes: Probes
  dice: Dice
}

export class Network {
  readonly #options: NetworkOptions
  readonly #blocked = new Set<string>()
  #connections = new Set<Connection>()
  #made = 0

  constructor(options: NetworkOptions) {
    this.#options = options
  }

  host(name: string, wallMs: number): Host {
    const { dice } = this.#options
    return {
      name,
      wall: { offsetMs: wallMs },
      latencyMs: dice.skewed(0.1, 100),
      bytesPerMs: dice.skewed(20, 100_000),
      isUp: true,
      doors: new Map(),
    }
  }

  connect(process: Process, from: Host, to: Host, door: Door, handlers: SocketHandlers): ClientSocket {
    const socket = new ClientSocket(process, handlers)
    this.#knock(socket, from, to, door, 0)
    return socket
  }

  /** In one direction; call it twice for both. */
  block(from: Host, to: Host): void {
    this.#blocked.add(`${from.name}>${to.name}`)
    this.#options.trace.add('network', `${from.name} > ${to.name} blocked`)
  }

  /** Takes away what blocks the way between two machines. */
  unblock(a: Host, b: Host): void {
    this.#blocked.delete(`${a.name}>${b.name}`)
    this.#blocked.delete(`${b.name}>${a.name}`)
    this.#options.trace.add('network', `${a.name} and ${b.name} reach each other`)
    this.#wake(({ from, to }) => (from === a && to === b) || (from === b && to === a))
  }

  /** A machine has power again. Its former connections find out when they next say something. */
  powerUp(host: Host): void {
    host.isUp = true
    this.#wake(({ from, to }) => from === host || to === host)
  }

  #wake(isMeant: (connection: Connection) => boolean): void {
    const { dice } = this.#options
    for (const connection of this.#connections) {
      if (!isMeant(connection)) continue
      connection.up.wake(dice.skewed(1, 3_000))
      connection.down.wake(dice.skewed(1, 3_000))
    }
  }

  /** As a middlebox does that has forgotten a connection: both ends hear of a reset. */
  resetSome(from: Host, to: Host): void {
    for (const connection of this.#connections) {
      if (connection.from !== from || connection.to !== to || !this.#options.dice.chance(0.5)) continue
      this.#options.trace.add(connection.name, 'cut')
      this.#options.probes.reached('connection cut')
      connection.up.reset()
      connection.down.reset()
    }
  }

  /** A program that listened is gone; `nothing` is said when the whole machine is. */
  orphan(host: Host, how: 'end' | 'reset' | 'nothing'): void {
    host.doors.clear()
    for (const connection of [...this.#connections]) if (connection.to === host) connection.server.orphan(how)
  }

  /** What is left when a world ends must not keep anything of it. */
  close(): void {
    for (const { up, down, server } of this.#connections) {
      up.forget()
      down.forget()
      server.destroy()
    }
    this.#connections.clear()
  }

  #knock(socket: ClientSocket, from: Host, to: Host, door: Door, attempt: number): void {
    const { scheduler, trace, probes, dice } = this.#options
    const latencyMs = from.latencyMs * (1 + dice.next() * 0.2)
    scheduler.after(latencyMs, () => {
      if (socket.isOver) return
      if (this.#isBlocked(from, to) || this.#isBlocked(to, from) || !to.isUp) {
        probes.reached('connection attempt unanswered')
        if (attempt >= SYN_RETRIES) socket.end('ETIMEDOUT')
        else scheduler.after(1_000 * 2 ** attempt, () => this.#knock(socket, from, to, door, attempt + 1))
        return
      }
      const listening = to.doors.get(door)
      if (!listening) {
        trace.add(from.name, `refused by ${to.name}`)
        scheduler.after(latencyMs, () => socket.end('ECONNREFUSED'))
        return
      }
      this.#establish(socket, from, to, listening)
    })
  }

  #establish(client: ClientSocket, from: Host, to: Host, listening: NonNullable<ReturnType<Host['doors']['get']>>) {
    const { trace } = this.#options
    const name = `${from.name}#${this.#made++}`
    const up = this.#pipe(`${name}>`, from, to, from)
    const down = this.#pipe(`<${name}`, to, from, from)
    client.attach(down, up)
    const server = new ServerSocket(listening.process, from.name, up, down)
    const connection: Connection = { name, from, to, up, down, client, server }
    this.#connections.add(connection)
    server.once('close', () => this.#forgetLater(connection))
    trace.add(name, `connected to ${to.name}`)
    client.process.after(from.latencyMs, () => client.opened())
    listening.accept(server)
  }

  #pipe(name: string, from: Host, to: Host, { latencyMs, bytesPerMs }: Host): Pipe {
    const { scheduler, trace, dice } = this.#options
    const pipe: Pipe = new Pipe({
      ...{ scheduler, trace, dice, name },
      ...{ latencyMs, bytesPerMs },
      windowBytes: dice.pick([4_096, 16_384, 65_536, 262_144]),
      isBlocked: () => this.#isBlocked(from, to) || !to.isUp,
      onNobody: () => this.#answerNobody(pipe),
    })
    return pipe
  }

  /** The system at the other end knows no such connection any more. */
  #answerNobody(pipe: Pipe): void {
    for (const { up, down } of this.#connections) {
      if (up !== pipe && down !== pipe) continue
      this.#options.probes.reached('reset for a connection that is gone')
      pipe.forget()
      const back = up === pipe ? down : up
      back.reset()
    }
  }

  /** What was said last may still be under way to the client. */
  #forgetLater(connection: Connection): void {
    this.#options.scheduler.after(60_000, () => this.#connections.delete(connection))
  }

  #isBlocked(from: Host, to: Host): boolean {
    return this.#blocked.has(`${from.name}>${to.name}`)
  }
}
