/** Editors of documents for tests: the stock provider of y-websocket, and Ottla's. */
import { onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import { Doc } from 'yjs'
import { type ConnectOptions, connect } from '../../client/index.ts'
import { OttlaProvider, type ProviderOptions } from '../../client/yjs/index.ts'

export interface StockEditor {
  doc: Doc
  provider: WebsocketProvider
}

export function stockEditor(websocketUrl: string, documentId: string): StockEditor {
  const doc = new Doc()
  const provider = new WebsocketProvider(`${websocketUrl}/yjs`, documentId, doc, {
    WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
    disableBc: true,
    maxBackoffTime: 100,
  })
  onTestFinished(() => {
    provider.destroy()
    doc.destroy()
  })
  return { doc, provider }
}

export async function ottlaEditor(
  websocketUrl: string,
  documentId: string,
  options: ConnectOptions & { provider?: ProviderOptions } = {},
) {
  const { provider: providerOptions, ...rest } = options
  const ottla = await connect(websocketUrl, { lazy: true, backoff: { delayMsFirst: 20, delayMsMax: 100 }, ...rest })
  const doc = new Doc()
  const provider = new OttlaProvider(ottla, documentId, doc, { batchMs: 5, ...providerOptions })
  const close = async () => {
    await provider.destroy()
    await ottla.close()
    doc.destroy()
  }
  onTestFinished(close)
  return { ottla, doc, provider, close }
}

export const textOf = (doc: Doc): string => doc.getText('t').toString()
