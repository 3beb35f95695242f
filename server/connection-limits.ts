/** How many connections there may be, in all and from one address, whatever door they come through. */
import type { RelayConfig } from './config.ts'
import type { LimitedLog } from './limited-log.ts'

export class ConnectionLimits {
  readonly #config: Pick<RelayConfig, 'maxConnections' | 'maxConnectionsPerIp'>
  readonly #log: LimitedLog
  readonly #perAddress = new Map<string, number>()
  #count = 0

  constructor(config: Pick<RelayConfig, 'maxConnections' | 'maxConnectionsPerIp'>, log: LimitedLog) {
    this.#config = config
    this.#log = log
  }

  /** False, and noted in the log, when one more is too many. */
  hasRoomFor(address: string): boolean {
    const { maxConnections, maxConnectionsPerIp } = this.#config
    const fromAddress = this.#perAddress.get(address) ?? 0
    if (this.#count < maxConnections && fromAddress < maxConnectionsPerIp) return true
    this.#log.warn('connections refused', { remote: address, fromThere: fromAddress, open: this.#count })
    return false
  }

  enter(address: string): void {
    this.#count++
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1)
  }

  /** Once for each `enter`. */
  leave(address: string): void {
    this.#count--
    const left = (this.#perAddress.get(address) ?? 1) - 1
    if (left > 0) this.#perAddress.set(address, left)
    else this.#perAddress.delete(address)
  }
}
