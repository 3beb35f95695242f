/**
 * How messages get to the relay and back, whatever carries them. A transport is one connection: it opens once, closes
 * once, and is thrown away.
 *
 * Invariants: `onMessage` and `onClose` are never called before `open` has returned; after `onClose` nothing is called;
 * `onClose` is called exactly once, also for a connection that never opened.
 */
import { CloseCode, isFinalClose } from '../../protocol/messages/offset-protocol.ts'

export interface TransportHandlers {
  onOpen(): void
  /** The bytes are the receiver's; nobody writes to them again. */
  onMessage(message: Uint8Array): void
  onClose(reason: CloseReason): void
}

export interface CloseReason {
  /** A WebSocket close code; 1006 when there was no closing handshake. */
  code: number
  reason: string
  /** Who ended it. Only the relay's own codes say whether to come back. */
  by: 'relay' | 'us'
}

export interface TransportConnection {
  /** Bytes accepted by `send` that have not left for the network. */
  readonly bufferedBytes: number
  /** Does nothing unless open. */
  send(message: Uint8Array): void
  /** Idempotent. `onClose` follows, at once when the other side might be gone. */
  close(code: number, reason: string): void
}

export interface Transport {
  /** The other side may be an Apache Kafka, which ends a connection over messages that it does not know. */
  readonly mayBeKafka?: boolean
  /** Begins to connect to `url`. Throws at once when it cannot even try. */
  open(url: string, handlers: TransportHandlers): TransportConnection
}

export type CloseVerdict = 'come-back' | 'stay-away' | 'needs-auth' | 'replaced'

/** What a close code asks of a client. Unknown codes come back: a newer relay may have reasons unknown here. */
export function verdictOf(code: number): CloseVerdict {
  if (code === CloseCode.needsAuth) return 'needs-auth'
  if (code === CloseCode.replaced) return 'replaced'
  return isFinalClose(code) ? 'stay-away' : 'come-back'
}
