/**
 * The Kafka door: Kafka's own framing over a stream of bytes, for every existing Kafka client. Behind the framing it is
 * the same connection, dispatch and handlers as the WebSocket door. It knows sockets, not ports: see kafka.ts.
 */
import type { Timer } from '../../protocol/lib/clock.ts'
import { CloseCode, encodePush, heartbeat } from '../../protocol/messages/offset-protocol.ts'
import type { Services } from '../services.ts'
import { KafkaConnection } from './kafka-connection.ts'
import type { PeerSocket } from './peer-socket.ts'

const SWEEP_MS = 1_000

export class KafkaDoor {
  readonly #services: Services
  readonly #connections = new Set<KafkaConnection>()
  #sweepTimer: Timer | undefined
  #now: number

  constructor(services: Services) {
    this.#services = services
    this.#now = services.clock.monotonic()
    this.#scheduleSweep()
  }

  /** Coarse, so that reading it costs nothing; right to within one sweep. */
  get now(): number {
    return this.#now
  }

  /** Takes the socket over; destroys it when there are too many. */
  accept(socket: PeerSocket): void {
    const { limits } = this.#services
    const address = socket.remoteAddress ?? 'unknown'
    if (!limits.hasRoomFor(address)) {
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    limits.enter(address)
    this.#connections.add(new KafkaConnection(this.#services, socket, address, this))
  }

  forget(connection: KafkaConnection): void {
    if (this.#connections.delete(connection)) this.#services.limits.leave(connection.remoteAddress)
  }

  closeAll(): void {
    this.#sweepTimer?.cancel()
    for (const connection of [...this.#connections]) connection.close(CloseCode.serviceRestart, 'the relay is stopping')
  }

  #scheduleSweep(): void {
    const { heartbeatMs, connectionsMaxIdleMs } = this.#services.config
    const everyMs = Math.min(SWEEP_MS, heartbeatMs / 4, connectionsMaxIdleMs / 4)
    this.#sweepTimer = this.#services.clock.setTimer(everyMs, () => {
      this.#sweep()
      this.#scheduleSweep()
    })
  }

  /** One pass over all connections instead of timers on each. */
  #sweep(): void {
    const { clock } = this.#services
    this.#now = clock.monotonic()
    const serverTimeMs = clock.now()
    const beat = () => encodePush(heartbeat, { serverTimeMs }, { headroom: KafkaConnection.headroom })
    for (const connection of this.#connections) connection.onSweep(this.#now, beat)
  }
}
