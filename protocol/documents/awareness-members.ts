/**
 * Awareness of a document over an ephemeral channel: each member's state is an awareness update (y-protocols) of the clients
 * that it speaks for, an editor's own, or those of all editors behind a door. With the member they are gone.
 *
 * Both ends have one; what it does to the awareness is handed in, so that nothing here depends on Yjs.
 */
import { Reader } from '../bytes/reader.ts'

export interface AwarenessTarget {
  apply(update: Uint8Array): void
  remove(clients: number[]): void
}

export const awarenessChannelOf = (documentId: string): string => `yjs/${documentId}`

export class AwarenessMembers {
  readonly #target: AwarenessTarget
  readonly #clients = new Map<string, ReadonlySet<number>>()

  constructor(target: AwarenessTarget) {
    this.#target = target
  }

  /** Throws MalformedError, and what `apply` throws, for bytes that are no awareness update. */
  present(memberId: string, update: Uint8Array | null): void {
    const before = this.#clients.get(memberId)
    const clients = update ? clientsIn(update) : new Set<number>()
    this.#clients.set(memberId, clients)
    if (update) this.#target.apply(update)
    this.#removeUnspokenFor(before ?? new Set())
  }

  gone(memberId: string): void {
    const before = this.#clients.get(memberId)
    this.#clients.delete(memberId)
    if (before) this.#removeUnspokenFor(before)
  }

  /** Nobody else is there. */
  keepOnly(memberIds: ReadonlySet<string>): void {
    for (const memberId of [...this.#clients.keys()]) if (!memberIds.has(memberId)) this.gone(memberId)
  }

  /** Who comes back speaks as another member, and may be there before the old one is gone. */
  #removeUnspokenFor(clients: ReadonlySet<number>): void {
    const spokenFor = (client: number) => [...this.#clients.values()].some((ofMember) => ofMember.has(client))
    const removed = [...clients].filter((client) => !spokenFor(client))
    if (removed.length > 0) this.#target.remove(removed)
  }
}

/** count, then for each: client, clock, length of its state as JSON, that text. All lengths and numbers are LEB128. */
function clientsIn(update: Uint8Array): Set<number> {
  const reader = new Reader(update)
  const clients = new Set<number>()
  for (let left = leb128(reader); left > 0; left--) {
    clients.add(leb128(reader))
    leb128(reader)
    reader.skip(leb128(reader))
  }
  return clients
}

function leb128(reader: Reader): number {
  let value = 0
  for (let factor = 1; factor < Number.MAX_SAFE_INTEGER; factor *= 128) {
    const byte = reader.int8() & 0xff
    value += (byte & 0x7f) * factor
    if (byte < 0x80) return value
  }
  return value
}
