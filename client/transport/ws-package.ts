/**
 * Which WebSocket to use. In browsers, workers and edge runtimes the platform's own; in Node the package `ws`, since Node
 * 20 has none, and that of Node 22 and later does not say why a connection failed. There it is what is left without `ws`.
 *
 * The package's name is kept in a variable so that bundlers leave it alone: a browser bundle must not contain `ws`.
 */
import { relayError } from '../relay-errors.ts'
import type { WebSocketConstructor } from './websocket.ts'

const WS_PACKAGE = 'ws'

/** `given`, else the platform's own, else that of the package `ws`. Rejects NO_WEBSOCKET when there is none. */
export async function findWebSocket(given?: WebSocketConstructor): Promise<WebSocketConstructor> {
  if (given) return given
  const own = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket
  if (own && !isNode()) return own
  try {
    const loaded = (await import(/* @vite-ignore */ WS_PACKAGE)) as { WebSocket: WsConstructor }
    return withoutDeflate(loaded.WebSocket)
  } catch (cause) {
    if (own) return own
    throw relayError('NO_WEBSOCKET', { message: 'this runtime has no WebSocket', cause })
  }
}

function isNode(): boolean {
  const { process } = globalThis as { process?: { versions?: { node?: string }; type?: string } }
  return process?.versions?.node !== undefined && process.type !== 'renderer'
}

type WsConstructor = new (url: string, protocols: string[], options: object) => InstanceType<WebSocketConstructor>

/** Batches are compressed already or not worth it; a compressing socket only costs memory. */
function withoutDeflate(Ws: WsConstructor): WebSocketConstructor {
  return class extends Ws {
    constructor(url: string) {
      super(url, [], { perMessageDeflate: false, skipUTF8Validation: true })
    }
  }
}
