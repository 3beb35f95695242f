/** A request, header and body, as a tree. */
import { type AnyApi, readRequestRest, readRequestStart } from '../../protocol/api.ts'
import { MalformedError, Reader } from '../../protocol/bytes/reader.ts'
import { Writer } from '../../protocol/bytes/writer.ts'
import { handlers } from '../../server/handlers/index.ts'
import { bytesOf, type Node, readNode, type StructNode } from './wire-tree.ts'

export const APIS: readonly AnyApi[] = handlers.map(({ api }) => api)
const apiByKey = new Map(APIS.map((api) => [api.key, api]))

export interface RequestTree {
  api: AnyApi
  version: number
  header: StructNode
  body: Node
}

export const findApi = (key: number): AnyApi | undefined => apiByKey.get(key)
export const versionsOf = ({ minVersion, maxVersion }: AnyApi): number[] =>
  Array.from({ length: maxVersion - minVersion + 1 }, (_, index) => minVersion + index)

export function headerOf(api: AnyApi, version: number, clientId: string | null = 'fuzz'): StructNode {
  const int = (name: string, kind: 'int16' | 'int32', value: number): Node => {
    const writer = new Writer(4)
    writer[kind](value)
    return { kind, name, bytes: writer.finish().slice() }
  }
  return {
    kind: 'struct',
    name: 'header',
    presence: undefined,
    members: [
      int('apiKey', 'int16', api.key),
      int('apiVersion', 'int16', version),
      int('correlationId', 'int32', 0),
      {
        kind: 'string',
        name: 'clientId',
        prefix: 'int16',
        content: clientId === null ? null : Writer.encodeUtf8(clientId),
      },
    ],
    tags: version >= api.flexibleFrom ? [] : undefined,
  }
}

/** Throws MalformedError for what is not a whole request of a known API and version. */
export function readRequest(bytes: Uint8Array): RequestTree {
  const reader = new Reader(bytes)
  const { apiKey, apiVersion } = readRequestStart(reader)
  const api = findApi(apiKey)
  if (!api || apiVersion < api.minVersion || apiVersion > api.maxVersion)
    throw new MalformedError(`API ${apiKey} version ${apiVersion}`)
  const isFlexible = apiVersion >= api.flexibleFrom
  const clientId = readRequestRest(reader, isFlexible)
  const body = readNode(api.request.field.form, api.name, apiVersion, isFlexible, reader)
  if (reader.remaining > 0) throw new MalformedError(`${reader.remaining} bytes behind ${api.name}`)
  return { api, version: apiVersion, header: headerOf(api, apiVersion, clientId), body }
}

const CORRELATION_ID_AT = 4

export function writeRequest({ header, body }: Pick<RequestTree, 'header' | 'body'>): Uint8Array {
  const writer = new Writer(512)
  writer.bytes(bytesOf(header))
  writer.bytes(bytesOf(body))
  return writer.finish()
}

/** In place, where the bytes reach so far. */
export function setCorrelationId(bytes: Uint8Array, correlationId: number): void {
  if (bytes.length < CORRELATION_ID_AT + 4) return
  new DataView(bytes.buffer, bytes.byteOffset).setInt32(CORRELATION_ID_AT, correlationId)
}
