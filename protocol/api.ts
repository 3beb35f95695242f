/**
 * An API is a request and its response under one key, in a range of versions.
 *
 * Header rules (KIP-482): a flexible request version has request header 2 and response header 1; other versions have 1
 * and 0. The response to ApiVersions always has header 0, so that a client of any age can read it.
 */
import { MalformedError, type Reader } from './bytes/reader.ts'
import { Writer } from './bytes/writer.ts'
import type { Field, FieldCodec } from './schema.ts'

export interface Api<Req = unknown, Res = unknown, ReqIn = Req, ResIn = Res> {
  readonly key: number
  readonly name: string
  readonly minVersion: number
  readonly maxVersion: number
  readonly flexibleFrom: number
  readonly request: MessageCodec<Req, ReqIn>
  readonly response: MessageCodec<Res, ResIn>
}

/** What `api()` infers, without its types: for tables that hold many. */
export type AnyApi = Api<unknown, unknown, never, never>

/** A decoded request, a decoded response, and what may be written as either. */
export type RequestOf<A> = A extends Api<infer Req, unknown, never, never> ? Req : never
export type ResponseOf<A> = A extends Api<unknown, infer Res, never, never> ? Res : never
export type RequestInputOf<A> = A extends Api<unknown, unknown, infer ReqIn, never> ? ReqIn : never
export type ResponseInputOf<A> = A extends Api<unknown, unknown, never, infer ResIn> ? ResIn : never

export interface MessageCodec<Out, In> {
  readonly field: Field<Out, In>
  read(reader: Reader, version: number): Out
  write(writer: Writer, version: number, value: In): void
}

interface ApiDefinition<Req, ReqIn, Res, ResIn> {
  key: number
  name: string
  versions: readonly [min: number, max: number]
  /** The first flexible version; leave it out when there is none. */
  flexibleFrom?: number
  request: Field<Req, ReqIn>
  response: Field<Res, ResIn>
}

export const API_VERSIONS_KEY = 18

export function api<Req, ReqIn, Res, ResIn>(
  definition: ApiDefinition<Req, ReqIn, Res, ResIn>,
): Api<Req, Res, ReqIn, ResIn> {
  const { key, name, versions, flexibleFrom = Number.POSITIVE_INFINITY } = definition
  return {
    key,
    name,
    minVersion: versions[0],
    maxVersion: versions[1],
    flexibleFrom,
    request: compiledOnDemand(definition.request, flexibleFrom),
    response: compiledOnDemand(definition.response, flexibleFrom),
  }
}

/** Compiles a version when it is first used: start-up pays for none, a connection for the few it speaks. */
export function compiledOnDemand<Out, In>(field: Field<Out, In>, flexibleFrom: number): MessageCodec<Out, In> {
  const codecs: Array<FieldCodec<Out, In> | undefined> = []
  const forVersion = (version: number) => {
    let codec = codecs[version]
    if (!codec) {
      codec = field.compile(version, version >= flexibleFrom)
      codecs[version] = codec
    }
    return codec
  }
  return {
    field,
    read: (reader, version) => forVersion(version).read(reader),
    write: (writer, version, value) => forVersion(version).write(writer, value),
  }
}

export interface RequestHeader {
  apiKey: number
  apiVersion: number
  correlationId: number
  clientId: string | null
}

/** The first eight bytes, which every version of every header begins with. */
export function readRequestStart(reader: Reader): Omit<RequestHeader, 'clientId'> {
  return { apiKey: reader.int16(), apiVersion: reader.int16(), correlationId: reader.int32() }
}

/** The rest of the header; client id is not compact even in flexible versions. */
export function readRequestRest(reader: Reader, flexible: boolean): string | null {
  const length = reader.int16()
  if (length < -1) throw new MalformedError(`a client id of ${length} bytes`)
  const clientId = length === -1 ? null : reader.utf8(length)
  if (flexible) skipTags(reader)
  return clientId
}

export function skipTags(reader: Reader): void {
  const count = reader.uvarint()
  for (let index = 0; index < count; index++) {
    reader.uvarint()
    reader.skip(reader.uvarint())
  }
}

/** A request from its first header byte on: what a WebSocket message holds, and a TCP frame after its size. */
export function encodeRequest<ReqIn>(
  api: Api<unknown, unknown, ReqIn, never>,
  version: number,
  header: { correlationId: number; clientId: string | null },
  body: ReqIn,
  sizeHint = 256,
): Uint8Array<ArrayBuffer> {
  const writer = new Writer(sizeHint)
  writer.int16(api.key)
  writer.int16(version)
  writer.int32(header.correlationId)
  const clientId = header.clientId === null ? null : Writer.encodeUtf8(header.clientId)
  writer.int16(clientId ? clientId.length : -1)
  if (clientId) writer.bytes(clientId)
  if (version >= api.flexibleFrom) writer.uvarint(0)
  api.request.write(writer, version, body)
  return writer.finish()
}

/** Reads a response body after its correlation id. */
export function decodeResponse<Res>(api: Api<unknown, Res, never, never>, version: number, reader: Reader): Res {
  if (version >= api.flexibleFrom && api.key !== API_VERSIONS_KEY) skipTags(reader)
  return api.response.read(reader, version)
}

/** `headroom` bytes are left free in front, for a frame header. */
export function encodeResponse<ResIn>(
  api: Api<unknown, unknown, never, ResIn>,
  version: number,
  correlationId: number,
  body: ResIn,
  options: { sizeHint?: number; headroom?: number } = {},
): Uint8Array<ArrayBuffer> {
  const writer = new Writer(options.sizeHint ?? 256, options.headroom ?? 0)
  writeResponse(writer, api, version, correlationId, body)
  return writer.finish()
}

export function writeResponse<ResIn>(
  writer: Writer,
  api: Api<unknown, unknown, never, ResIn>,
  version: number,
  correlationId: number,
  body: ResIn,
): void {
  writer.int32(correlationId)
  if (version >= api.flexibleFrom && api.key !== API_VERSIONS_KEY) writer.uvarint(0)
  api.response.write(writer, version, body)
}
