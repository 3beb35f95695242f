/**
 * From a request's bytes to its handler and back: version check, decoding, the handler, encoding.
 *
 * A request that cannot be read ends the connection, as in Kafka: after it nothing on the connection can be trusted. The
 * exception is ApiVersions in a version that is too new, which is answered in version 0 so that the client can step down.
 */
import { type AnyApi, API_VERSIONS_KEY, readRequestRest, readRequestStart, writeResponse } from '../protocol/api.ts'
import { PieceWriter } from '../protocol/bytes/piece-writer.ts'
import { MalformedError, type Reader } from '../protocol/bytes/reader.ts'
import { concatenate } from '../protocol/compression.ts'
import { CloseCode } from '../protocol/messages/offset-protocol.ts'
import { AuthenticationError } from './auth/exchange.ts'
import type { Connection, Reply, ReplySlot } from './connection.ts'
import { type HandlerEntry, NO_REPLY, type RequestContext } from './handler.ts'
import { handlerByKey } from './handlers/index.ts'
import { unsupportedApiVersions } from './handlers/versions.ts'
import { WEBSOCKET_HEADER_BYTES_MAX } from './listener/websocket-frame.ts'

const REPLY_BYTES_EXPECTED = 256

export function dispatch(connection: Connection, reader: Reader, slot: ReplySlot): void {
  const { apiKey, apiVersion, correlationId } = readRequestStart(reader)
  const found = handlerByKey.get(apiKey)
  if (!found) throw new MalformedError(`API ${apiKey} is not known here`)
  const { api } = found
  if (apiVersion < api.minVersion || apiVersion > api.maxVersion) {
    if (apiKey !== API_VERSIONS_KEY) {
      throw new MalformedError(`${api.name} ${apiVersion} is not served; ${api.minVersion} to ${api.maxVersion} are`)
    }
    return connection.settle(slot, encode(api, 0, correlationId, unsupportedApiVersions()))
  }
  if (!found.isBeforeSignIn && !connection.sasl.isAdmitted)
    return connection.close(CloseCode.needsAuth, `sign in before ${api.name}: SaslHandshake, then SaslAuthenticate`)
  const clientId = readRequestRest(reader, apiVersion >= api.flexibleFrom)
  const body = api.request.read(reader, apiVersion)
  const context = new Context(connection, slot, apiVersion, clientId)
  answer(found, body as never, context, correlationId)
}

/** A token without a header, after SaslHandshake 0. There are no words for a failure: it closes. */
export function answerBareToken(connection: Connection, token: Uint8Array, slot: ReplySlot): void {
  const { sasl, services, remoteAddress } = connection
  const headroom = WEBSOCKET_HEADER_BYTES_MAX
  sasl.authenticate(token).then(
    ({ reply }) => connection.settle(slot, { first: concatenate([new Uint8Array(headroom), reply]), headroom }),
    async (error: unknown) => {
      if (!(error instanceof AuthenticationError)) return connection.fail(error)
      await services.authentication.refuse(remoteAddress, sasl.mechanism, error.message)
      connection.close(error.isTemporary ? CloseCode.tryAgainLater : CloseCode.needsAuth, 'authentication failed')
    },
  )
}

function answer(found: HandlerEntry, body: never, context: Context, correlationId: number): void {
  const { connection, slot, apiVersion } = context
  const settle = (result: unknown) => {
    if (connection.isClosed) return
    connection.settle(slot, result === NO_REPLY ? null : encode(found.api, apiVersion, correlationId, result))
  }
  const result = found.handle(body, context)
  if (result instanceof Promise) result.then(settle).catch((error) => connection.fail(error))
  else settle(result)
}

function encode(api: AnyApi, version: number, correlationId: number, body: unknown): Reply {
  const headroom = WEBSOCKET_HEADER_BYTES_MAX
  const writer = new PieceWriter(REPLY_BYTES_EXPECTED, headroom)
  writeResponse(writer, api, version, correlationId, body as never)
  const [first, ...rest] = writer.pieces()
  return { first, rest, headroom }
}

class Context implements RequestContext {
  readonly connection: Connection
  readonly slot: ReplySlot
  readonly apiVersion: number
  readonly clientId: string | null

  constructor(connection: Connection, slot: ReplySlot, apiVersion: number, clientId: string | null) {
    this.connection = connection
    this.slot = slot
    this.apiVersion = apiVersion
    this.clientId = clientId
  }

  get services() {
    return this.connection.services
  }

  allows: RequestContext['allows'] = (operation, resource) =>
    this.services.authorizer.allows(this.connection.principal(this.clientId), operation, resource)

  allowsSome: RequestContext['allowsSome'] = (operation, type) => {
    const { authorizer } = this.services
    return authorizer.allowsSome?.(this.connection.principal(this.clientId), operation, type) ?? true
  }

  afterReply(run: () => void): void {
    this.slot.afterReply = run
  }

  onSent(run: () => void): void {
    this.slot.onSent = run
  }

  turn(): Promise<void> | undefined {
    return this.connection.turnOf(this.slot)
  }
}
