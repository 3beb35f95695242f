/** One connection as the fan-out sees it, whatever door it came through. */
import type { Principal } from './authorizer.ts'
import type { Frame } from './fan-out/frame.ts'
import type { PartitionFanOut } from './fan-out/partition-fan-out.ts'
import type { Subscription } from './fan-out/subscription.ts'

export interface Peer {
  readonly isClosed: boolean
  /** Who acts here, as the authorizer is told. */
  principal(): Principal
  /** Bytes handed to the connection that the network has not taken yet. */
  readonly unsentBytes: number
  /** By partition; undefined until the first subscription, so that a silent connection stays small. */
  subscriptions: Map<PartitionFanOut, Subscription> | undefined
  /** Writes a frame that other peers share. The caller has looked at `unsentBytes`. */
  sendFrame(frame: Frame): void
  /** Writes a message of this peer's own; `headroom` bytes in front of it are free for a frame header. */
  sendMessage(bytes: Uint8Array, headroom: number): void
  close(code: number, reason: string): void
}
