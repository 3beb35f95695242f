/**
 * A library socket whose end goes by the relay's clock, where the library's own timer goes by the process's. It is tied to
 * its connection without a closure for each.
 */
import { WebSocket } from 'ws'

export const CLOSE_TIMEOUT_MS = 2_000
/** For the library's own timer. */
export const NEVER_MS = 2 ** 31 - 1

export class RelaySocket<C extends { onClosing(): void }> extends WebSocket {
  connection: C | undefined

  /** Whoever of the two began it. */
  override close(code?: number, reason?: string | Buffer): void {
    super.close(code, reason)
    if (this.readyState === WebSocket.CLOSING) this.connection?.onClosing()
  }
}
