/**
 * One document while editors of y-websocket's protocol have it open: a copy of it in memory, and their sockets.
 *
 *     socket → update → log → (on disk) → read back from the log → the copy → every other socket
 *
 * Invariants: the copy holds what is in the log and nothing else, so nobody is shown an update that a crash could take back;
 * updates of all writers, whatever door they came through, reach it in the order of the log. What waits for the disk is
 * bounded: a socket is not read from while much does.
 */
import type { Awareness } from 'y-protocols/awareness'
import type { Doc } from 'yjs'
import { AwarenessMembers, awarenessChannelOf } from '../../../protocol/documents/awareness-members.ts'
import { ErrorCode, KafkaError } from '../../../protocol/errors.ts'
import type { Timer } from '../../../protocol/lib/clock.ts'
import { ChannelEvent } from '../../../protocol/messages/channels.ts'
import { CloseCode } from '../../../protocol/messages/offset-protocol.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import type { Member, Seat } from '../../channels/channel.ts'
import { PAYLOAD_BYTES_MAX } from '../../channels/channels.ts'
import type { News } from '../../channels/news.ts'
import type { PartitionLog } from '../../log/partition-log.ts'
import type { Services } from '../../services.ts'
import type { DocumentPartition } from '../document-partition.ts'
import { type Yjs, type YProtocols, yjs, yProtocols } from '../yjs.ts'
import type { EditorSocket } from './editor-socket.ts'
import * as message from './messages.ts'

export const PENDING_BYTES_MAX = 1024 * 1024
/** From here on it is looked up what the copy takes, each time that this has doubled. */
const MEASURED_BYTES_MIN = 4 * 1024 * 1024
const STATE_EVERY_MS = 50
const UPDATES_PER_TURN = 200

export interface RoomPlace {
  services: Services
  topicId: string
  documentId: string
  log: PartitionLog
  documents: DocumentPartition
  /** The room has closed by itself: nobody is to come in any more. */
  onEnded(room: Room): void
}

interface Pending {
  update: Uint8Array
  from: EditorSocket
}

const utf8 = new TextEncoder()

export class Room implements Seat {
  readonly unsentBytes = 0
  isClosed = false
  readonly #place: RoomPlace
  readonly #y: Yjs
  readonly #protocols: YProtocols
  readonly #doc: Doc
  readonly #awareness: Awareness
  readonly #sockets = new Set<EditorSocket>()
  readonly #members: AwarenessMembers
  /** Writes of this room by their offset, until they have been read back. */
  readonly #written = new Map<number, EditorSocket | undefined>()
  #unfollow: () => void = () => {}
  #member: Member | undefined
  #stateTimer: Timer | undefined
  #pending: Pending[] = []
  #pendingBytes = 0
  #isWriting = false
  /** About what the copy takes: what it took when it was measured, and what was read since. */
  sizeBytes = 0
  #measureAt = MEASURED_BYTES_MIN

  static async open(place: RoomPlace): Promise<Room> {
    const room = new Room(place, await yjs(), await yProtocols())
    try {
      await room.#load()
      return room
    } catch (error) {
      room.close()
      throw error
    }
  }

  private constructor(place: RoomPlace, y: Yjs, protocols: YProtocols) {
    this.#place = place
    this.#y = y
    this.#protocols = protocols
    this.#doc = new y.Doc()
    this.#awareness = new protocols.awareness.Awareness(this.#doc)
    // The relay edits nothing.
    this.#awareness.setLocalState(null)
    this.#members = new AwarenessMembers({
      apply: (update) => protocols.awareness.applyAwarenessUpdate(this.#awareness, update, this),
      remove: (clients) => this.#removeAwareness(clients, this),
    })
    this.#doc.on('update', (update: Uint8Array, origin: unknown) => this.#broadcast(message.update(update), origin))
    this.#awareness.on('update', (change: message.AwarenessChange, origin: unknown) =>
      this.#awarenessChanged(change, origin),
    )
  }

  get socketCount(): number {
    return this.#sockets.size
  }

  /** The room tells what it holds, and asks for what it lacks. */
  enter(socket: EditorSocket): void {
    this.#sockets.add(socket)
    socket.send(message.stateVector(this.#y.encodeStateVector(this.#doc)))
    const clients = [...this.#awareness.getStates().keys()]
    if (clients.length > 0) socket.send(this.#awarenessOf(clients))
  }

  leave(socket: EditorSocket): void {
    if (!this.#sockets.delete(socket)) return
    if (!this.isClosed) this.#removeAwareness([...socket.clients], socket)
  }

  /** Throws what bytes that make no sense throw. */
  receive(socket: EditorSocket, bytes: Uint8Array): void {
    const received = message.read(bytes)
    if (received.is === 'state-vector') {
      socket.send(message.missing(this.#y.encodeStateAsUpdate(this.#doc, received.stateVector)))
    } else if (received.is === 'update') this.#take(socket, received)
    else if (received.is === 'awareness') this.#takeAwareness(socket, received.update)
    else if (received.is === 'query-awareness') socket.send(this.#awarenessOf([...this.#awareness.getStates().keys()]))
  }

  hearChannel({ body: { errorCode, isWhole, events } }: News): void {
    if (errorCode !== ErrorCode.NONE) return this.#end()
    if (isWhole) this.#members.keepOnly(new Set(events.map(({ memberId }) => memberId)))
    for (const { memberId, kind, payload } of events) {
      if (memberId === this.#member?.memberId) continue
      if (kind === ChannelEvent.present) this.#present(memberId, payload)
      if (kind === ChannelEvent.gone) this.#members.gone(memberId)
    }
  }

  /** What was sent before is written nevertheless. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#stateTimer?.cancel()
    this.#unfollow()
    this.#place.services.channels.onPeerClosed(this)
    this.#awareness.destroy()
    this.#doc.destroy()
  }

  async #load(): Promise<void> {
    const { documents, documentId, services, topicId } = this.#place
    this.#unfollow = documents.follow(documentId, {
      update: (update, offset) => this.#followed(update, offset),
      ended: () => this.#end(),
    })
    for (let from = -1, isWhole = false; !isWhole; ) {
      const part = await documents.open(documentId, from)
      await this.#applyAll(part.snapshot ? [part.snapshot, ...part.updates] : part.updates)
      from = part.nextOffset
      isWhole = part.isWhole
    }
    if (this.isClosed) throw new Error('the topic was deleted')
    this.#member = services.channels.join(this, { topicId, name: awarenessChannelOf(documentId) }, null)
    for (const { memberId, state } of this.#member.channel.states) {
      if (memberId !== this.#member.memberId) this.#present(memberId, state)
    }
    this.#member.channel.release(this)
  }

  async #applyAll(updates: readonly Uint8Array[]): Promise<void> {
    for (let at = 0; at < updates.length; at += UPDATES_PER_TURN) {
      const slice = updates.slice(at, at + UPDATES_PER_TURN)
      this.#doc.transact(() => {
        for (const update of slice) this.#apply(update, undefined)
      })
      if (at + UPDATES_PER_TURN < updates.length) await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #followed(update: Uint8Array, offset: number): void {
    const from = this.#written.get(offset)
    this.#written.delete(offset)
    this.#apply(update, from)
  }

  #apply(update: Uint8Array, origin: EditorSocket | undefined): void {
    this.sizeBytes += update.length
    if (this.sizeBytes > this.#measureAt) {
      this.sizeBytes = this.#y.encodeStateAsUpdate(this.#doc).length + update.length
      this.#measureAt = Math.max(MEASURED_BYTES_MIN, this.sizeBytes * 2)
    }
    try {
      this.#y.applyUpdate(this.#doc, update, origin)
    } catch (error) {
      // A record that is no update: others write to the topic too.
      this.#place.services.noise.warn('a record of a document is no update', {
        document: this.#place.documentId,
        reason: String(error),
      })
    }
  }

  #take(socket: EditorSocket, { update, isAnswer }: { update: Uint8Array; isAnswer: boolean }): void {
    // What cannot be read throws here, before it is stored.
    const { structs, ds } = this.#y.decodeUpdate(update)
    if (structs.length === 0 && ds.clients.size === 0) return
    // An answer repeats everything that was ever deleted: at each reconnect of each editor.
    if (isAnswer && this.#y.snapshotContainsUpdate(this.#y.snapshot(this.#doc), update)) return
    if (!socket.mayWrite()) return socket.send(message.denied('this editor may only read the document'))
    this.#pending.push({ update: Uint8Array.from(update), from: socket })
    this.#pendingBytes += update.length
    if (this.#pendingBytes > PENDING_BYTES_MAX) for (const each of this.#sockets) each.pause()
    if (!this.#isWriting) void this.#write()
  }

  /** One record for all that came while the one before was being written. */
  async #write(): Promise<void> {
    this.#isWriting = true
    // What came in one read of the sockets goes together.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#pending.length > 0) {
      const pending = this.#pending
      this.#pending = []
      this.#pendingBytes = 0
      try {
        await this.#append(pending)
      } catch (error) {
        this.#refuse(pending, error)
      }
      for (const each of this.#sockets) each.resume()
    }
    this.#isWriting = false
  }

  async #append(pending: readonly Pending[]): Promise<void> {
    const { log, documentId, documents, services } = this.#place
    const [first] = pending
    const value = pending.length === 1 ? first!.update : this.#y.mergeUpdates(pending.map(({ update }) => update))
    const record = { key: utf8.encode(documentId), value, timestamp: services.clock.now() }
    const { baseOffset, durable } = log.append(encodeBatch([record]))
    const isOfOne = pending.every(({ from }) => from === first!.from)
    this.#written.set(baseOffset, isOfOne ? first!.from : undefined)
    try {
      await durable
    } catch (error) {
      this.#written.delete(baseOffset)
      throw error
    }
    await documents.catchUp()
  }

  /** They come back with what they have, but for what can never be stored. */
  #refuse(pending: readonly Pending[], error: unknown): void {
    if (!(error instanceof KafkaError))
      this.#place.services.logger.error('document not written', { error: String(error) })
    const isTooLarge = error instanceof KafkaError && error.code === ErrorCode.MESSAGE_TOO_LARGE
    const reason = error instanceof Error ? error.message : String(error)
    for (const socket of new Set(pending.map(({ from }) => from))) {
      socket.close(isTooLarge ? message.TOO_LARGE_CODE : CloseCode.tryAgainLater, reason)
    }
  }

  #takeAwareness(socket: EditorSocket, update: Uint8Array): void {
    if (update.length > PAYLOAD_BYTES_MAX || !socket.mayWrite()) return
    // The stock provider repeats all that it hears, as often as there are editors: that counts for nothing.
    if (!message.awarenessEntries(update).some((entry) => this.#isNews(entry)) || !socket.maySay(update.length)) return
    this.#protocols.awareness.applyAwarenessUpdate(this.#awareness, update, socket)
  }

  #isNews({ client, clock, isGone }: message.AwarenessEntry): boolean {
    const { meta, states } = this.#awareness
    const known = meta.get(client)?.clock ?? 0
    return isGone ? clock >= known && states.has(client) : clock > known
  }

  #present(memberId: string, payload: Uint8Array | null): void {
    try {
      this.#members.present(memberId, payload)
    } catch {
      this.#members.gone(memberId)
    }
  }

  /** Who comes back says what it said before, and is to be heard. */
  #removeAwareness(clients: number[], origin: unknown): void {
    this.#protocols.awareness.removeAwarenessStates(this.#awareness, clients, origin)
    for (const client of clients) this.#awareness.meta.delete(client)
  }

  #awarenessChanged({ added, updated, removed }: message.AwarenessChange, origin: unknown): void {
    if (this.isClosed) return
    const socket = [...this.#sockets].find((each) => each === origin)
    if (socket) {
      for (const client of [...added, ...updated]) socket.clients.add(client)
      for (const client of removed) socket.clients.delete(client)
    }
    const changed = [...added, ...updated, ...removed]
    // To its sender too: an editor that hears nothing for 30 s takes the connection for dead.
    if (changed.length > 0) this.#broadcast(this.#awarenessOf(changed))
    if (origin !== this) this.#tellChannelSoon()
  }

  /** Of all editors here; those of other members are told by these. */
  #tellChannelSoon(): void {
    const { services } = this.#place
    this.#stateTimer ??= services.clock.setTimer(STATE_EVERY_MS, () => {
      this.#stateTimer = undefined
      if (this.isClosed || !this.#member) return
      const clients = [...this.#sockets].flatMap((socket) => [...socket.clients])
      const isKnown = (client: number) => this.#awareness.getStates().has(client)
      const state = this.#protocols.awareness.encodeAwarenessUpdate(this.#awareness, clients.filter(isKnown))
      try {
        services.channels.setState(this.#member, state)
      } catch (error) {
        services.noise.warn('awareness not told', { document: this.#place.documentId, reason: String(error) })
      }
    })
  }

  #awarenessOf(clients: number[]): Uint8Array {
    return message.awareness(this.#protocols.awareness.encodeAwarenessUpdate(this.#awareness, clients))
  }

  #broadcast(bytes: Uint8Array, except?: unknown): void {
    for (const socket of this.#sockets) if (socket !== except) socket.send(bytes)
  }

  /** The topic was deleted, or that of the snapshots: what comes now is another log's. Editors come back, to that one. */
  #end(): void {
    if (this.isClosed) return
    this.close()
    this.#place.onEnded(this)
    for (const socket of [...this.#sockets]) socket.close(CloseCode.tryAgainLater, 'the topic was deleted')
  }
}
