/** Where the Kafka door listens: TCP. */
import { type AddressInfo, createServer, type Server } from 'node:net'
import type { Logger } from '../logger.ts'
import type { KafkaDoor } from './kafka-door.ts'
import { listen } from './listen.ts'
import type { Address } from './peer-socket.ts'

/** After so much silence the system asks the other machine whether it is still there. */
const KEEP_ALIVE_MS = 60_000

export class KafkaListener {
  readonly #logger: Logger
  readonly #server: Server

  constructor(door: KafkaDoor, logger: Logger) {
    this.#logger = logger
    const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
    this.#server = createServer(options, (socket) => door.accept(socket))
  }

  /** Rejects with PortTakenError, or with the system's error when the address cannot be had. */
  listen(host: string, port: number): Promise<void> {
    return listen(this.#server, { host, port, option: 'kafka-port' }, this.#logger)
  }

  /** Undefined while it does not listen. */
  get address(): Address | undefined {
    const bound = this.#server.address() as AddressInfo | null
    if (!bound) return undefined
    const isAny = bound.address === '0.0.0.0' || bound.address === '::'
    return { host: isAny ? '127.0.0.1' : bound.address, port: bound.port }
  }

  /** Resolves when the sockets that the door had are gone too. */
  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}
