/** Where the Kafka door listens: TCP. */
import { type AddressInfo, createServer, type Server } from 'node:net'
import type { Logger } from '../logger.ts'
import type { KafkaDoor } from './kafka-door.ts'
import type { Address } from './peer-socket.ts'

export class KafkaListener {
  readonly #logger: Logger
  readonly #server: Server

  constructor(door: KafkaDoor, logger: Logger) {
    this.#logger = logger
    this.#server = createServer({ noDelay: true, keepAlive: true }, (socket) => door.accept(socket))
  }

  /** Rejects with the system's error when the address cannot be had. */
  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject)
        this.#server.on('error', (error) => this.#logger.error('kafka listener failed', { error: error.message }))
        resolve()
      })
    })
  }

  get address(): Address {
    const { address, port } = this.#server.address() as AddressInfo
    const isAny = address === '0.0.0.0' || address === '::'
    return { host: isAny ? '127.0.0.1' : address, port }
  }

  /** Resolves when the sockets that the door had are gone too. */
  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}
