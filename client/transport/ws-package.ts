/**
 * A WebSocket for Node 20, which has none of its own: the one of the package `ws`, loaded when needed and only then.
 *
 * The package's name is kept in a variable so that bundlers leave it alone: a browser bundle must not contain `ws`, and
 * in a browser this function returns before the import, since `globalThis.WebSocket` is there.
 */
import { OttlaError } from '../errors.ts'
import type { WebSocketConstructor } from './websocket.ts'

const WS_PACKAGE = 'ws'

/** `given`, else the platform's own, else that of the package `ws`. Rejects NO_WEBSOCKET when there is none. */
export async function findWebSocket(given?: WebSocketConstructor): Promise<WebSocketConstructor> {
  const present = given ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket
  if (present) return present
  try {
    const loaded = (await import(/* @vite-ignore */ WS_PACKAGE)) as { WebSocket: WsConstructor }
    return withoutDeflate(loaded.WebSocket)
  } catch (cause) {
    throw new OttlaError('NO_WEBSOCKET', { message: 'this runtime has no WebSocket', cause })
  }
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
