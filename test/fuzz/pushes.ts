/** Every kind of message that a relay sends unasked, by its key. */
import * as channels from '../../protocol/messages/channels.ts'
import type { Push } from '../../protocol/messages/offset-protocol.ts'
import * as offsetProtocol from '../../protocol/messages/offset-protocol.ts'
import * as receipts from '../../protocol/messages/receipts.ts'

type AnyPush = Push<unknown, never>

const isPush = (exported: unknown): exported is AnyPush =>
  typeof exported === 'object' && exported !== null && 'key' in exported && 'body' in exported

export const PUSHES: ReadonlyMap<number, AnyPush> = new Map(
  Object.values<unknown>({ ...offsetProtocol, ...receipts, ...channels })
    .filter(isPush)
    .map((push) => [push.key, push]),
)
