/**
 * The door that speaks y-websocket's protocol, at /yjs/DOCUMENT on the HTTP port: the stock provider, and editors that are
 * built on it, work unmodified, and what they write is in the log.
 *
 * A document is in memory while somebody has it open here; bounded in number and in bytes. Who comes must be allowed to read
 * the topic, and to write it for what they write. Where clients sign in, they bring a token: `access_token` in the address.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { KafkaError } from '../../../protocol/errors.ts'
import type { Timer } from '../../../protocol/lib/clock.ts'
import { CloseCode } from '../../../protocol/messages/offset-protocol.ts'
import { SaslSession } from '../../auth/sasl-session.ts'
import { hostOf, type Operation } from '../../authorizer.ts'
import { NEVER_MS, RelaySocket } from '../../listener/relay-socket.ts'
import type { Services } from '../../services.ts'
import { EditorSocket } from './editor-socket.ts'
import { Room } from './room.ts'

export const DOCUMENTS_PATH = '/yjs/'
const ROOMS_MAX = 1_000
const ROOM_BYTES_MAX = 512 * 1024 * 1024
const PROBE_MS = 30_000
const FRAGMENTS_MAX = 64
const NO_READING = 'not allowed to read the topic'
const CLIENT_ID = 'y-websocket'
/** The stock provider does not come back after codes from 4400 to 4499. */
const NOT_FOUND_CODE = 4404

/** Who is asked about. */
interface Visitor {
  sasl: SaslSession
  address: string
}

interface Guest extends Visitor {
  documentId: string
  socket: EditorSocket
}

export class DocumentsDoor {
  readonly #services: Services
  readonly #server: WebSocketServer
  readonly #rooms = new Map<string, Promise<Room>>()
  readonly #open = new Set<Room>()
  readonly #guests = new Set<Guest>()
  #timer: Timer | undefined
  #isClosed = false

  constructor(services: Services) {
    this.#services = services
    this.#server = new WebSocketServer({
      ...{ noServer: true, clientTracking: false, perMessageDeflate: false, skipUTF8Validation: true },
      ...{ maxPayload: services.config.maxRequestBytes, maxFragments: FRAGMENTS_MAX },
      ...{ WebSocket: RelaySocket, closeTimeout: NEVER_MS },
    } as ConstructorParameters<typeof WebSocketServer>[0])
    this.#probeLater()
  }

  /** Origin and room for one more connection are looked at by the listener. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#server.handleUpgrade(request, socket, head, (webSocket) =>
      this.#admit(webSocket as RelaySocket<EditorSocket>, request),
    )
  }

  closeAll(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    for (const { socket } of [...this.#guests]) socket.close(CloseCode.serviceRestart, 'the relay is stopping')
    this.#server.close()
  }

  /** Rights have changed: who may not read any more is sent away. */
  withdraw(): void {
    for (const guest of [...this.#guests])
      if (guest.sasl.isAdmitted && !this.#allows(guest, 'read')) guest.socket.close(CloseCode.forbidden, NO_READING)
  }

  #admit(webSocket: RelaySocket<EditorSocket>, request: IncomingMessage): void {
    const address = request.socket.remoteAddress ?? 'unknown'
    const { limits, authentication } = this.#services
    const sasl = new SaslSession(authentication, () => {})
    const socket = new EditorSocket(webSocket, this.#services, address, () => this.#allows({ sasl, address }, 'write'))
    const guest: Guest = { documentId: documentIdOf(request), sasl, socket, address }
    limits.enter(address)
    this.#guests.add(guest)
    webSocket.on('close', () => {
      socket.gone()
      this.#forget(guest)
    })
    this.#seat(guest, request).catch((error: unknown) => this.#refuse(guest, error))
  }

  async #seat(guest: Guest, request: IncomingMessage): Promise<void> {
    if (!(await this.#signIn(guest, request))) return
    if (!this.#allows(guest, 'read')) return guest.socket.close(CloseCode.forbidden, NO_READING)
    const key = guest.documentId
    const opening = this.#rooms.get(key) ?? this.#opening(key, guest)
    const room = await opening
    if (room.isClosed) throw new Error('the topic was deleted')
    if (this.#isClosed || guest.socket.isClosed) return this.#closeIfEmpty(key, room)
    guest.socket.enter(room)
  }

  async #signIn({ sasl, socket, address }: Guest, request: IncomingMessage): Promise<boolean> {
    const { authentication } = this.#services
    if (!authentication.isRequired) return true
    const token = tokenOf(request)
    try {
      if (token === undefined || sasl.handshake('OAUTHBEARER', 1) !== 0) throw new Error('no token')
      await sasl.authenticate(new TextEncoder().encode(`n,,\x01auth=Bearer ${token}\x01\x01`))
      return true
    } catch (error) {
      await authentication.refuse(address, 'OAUTHBEARER', error instanceof Error ? error.message : String(error))
      socket.close(CloseCode.needsAuth, 'sign in with a token: ?access_token=')
      return false
    }
  }

  #opening(documentId: string, visitor: Visitor): Promise<Room> {
    const opening = this.#openRoom(documentId, visitor)
    this.#rooms.set(documentId, opening)
    opening.catch(() => {
      if (this.#rooms.get(documentId) === opening) this.#rooms.delete(documentId)
    })
    return opening
  }

  async #openRoom(documentId: string, visitor: Visitor): Promise<Room> {
    const { documents, config } = this.#services
    if (this.#rooms.size >= ROOMS_MAX || this.#roomBytes > ROOM_BYTES_MAX)
      throw new KafkaError('POLICY_VIOLATION', 'too many documents are open')
    const topic = await documents.topic(config.documentsTopic, () => this.#allows(visitor, 'create'))
    const { partition, documents: ofPartition } = await documents.partitionOf(topic, documentId, () =>
      this.#allows(visitor, 'write'),
    )
    const log = topic.partitions[partition]!
    const room = await Room.open({
      ...{ services: this.#services, topicId: topic.id, documentId, log, documents: ofPartition },
      onEnded: (ended) => this.#drop(documentId, ended),
    })
    if (room.isClosed) throw new Error('the topic was deleted')
    this.#open.add(room)
    return room
  }

  get #roomBytes(): number {
    let sum = 0
    for (const { sizeBytes } of this.#open) sum += sizeBytes
    return sum
  }

  #refuse({ socket, documentId }: Guest, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    this.#services.noise.warn('document not opened', { document: documentId.slice(0, 200), reason })
    const isMissing = error instanceof KafkaError && [3, 17, 29, 42].includes(error.code)
    socket.close(isMissing ? NOT_FOUND_CODE : CloseCode.tryAgainLater, reason)
  }

  #forget(guest: Guest): void {
    if (!this.#guests.delete(guest)) return
    this.#services.limits.leave(guest.address)
    const key = guest.documentId
    this.#rooms.get(key)?.then(
      (room) => this.#closeIfEmpty(key, room),
      () => {},
    )
  }

  #closeIfEmpty(key: string, room: Room): void {
    const isWanted = [...this.#guests].some(({ documentId, socket }) => documentId === key && !socket.isClosed)
    if (isWanted || room.socketCount > 0) return
    this.#drop(key, room)
    room.close()
  }

  /** There may be another under its name already. */
  #drop(key: string, room: Room): void {
    if (this.#open.delete(room)) this.#rooms.delete(key)
  }

  #allows({ sasl, address }: Visitor, operation: Operation): boolean {
    const { authorizer, config } = this.#services
    if (!sasl.isAdmitted) return false
    return authorizer.allows({ name: sasl.user, clientId: CLIENT_ID, host: hostOf(address) }, operation, {
      ...{ type: 'topic', name: config.documentsTopic },
    })
  }

  #probeLater(): void {
    this.#timer = this.#services.clock.setTimer(PROBE_MS, () => {
      const now = this.#services.clock.monotonic()
      for (const { socket, sasl } of [...this.#guests]) {
        if (sasl.isOver(now)) socket.close(CloseCode.needsAuth, 'the session has ended; sign in again')
        else if (!socket.probe()) socket.terminate()
      }
      this.#probeLater()
    })
  }
}

/** Everything behind the path, slashes too: editors name documents as they like. */
function documentIdOf({ url = '' }: IncomingMessage): string {
  const path = url.split('?')[0]!.slice(DOCUMENTS_PATH.length)
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

function tokenOf({ url = '', headers }: IncomingMessage): string | undefined {
  const query = new URLSearchParams(url.split('?')[1] ?? '')
  return query.get('access_token') ?? /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
}
