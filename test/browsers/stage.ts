/** What every test in an engine stands on: the built client on a page server, a browser, a relay behind a spoiling proxy. */
import { onTestFinished } from 'vitest'
import type { RelayConfig } from '../../server/config.ts'
import type { Relay } from '../../server/relay.ts'
import { clientFiles } from '../support/client-files.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { BARE_PAGE, REAL_PAGE } from '../worker/fixtures/real-page.ts'
import { TRANSACTION_PAGE } from '../worker/fixtures/transaction-page.ts'
import { type Browser, startBrowser } from './engine/browser.ts'
import type { EngineName } from './engine/recipes.ts'
import { TRAFFIC_FILES } from './fixtures/traffic.ts'

/** The pages of the tests that drive Chromium from outside are driven from inside here. */
export const talkingBack = (page: string) => page.replace('<script', '<script src="/talk-back.js"></script><script')

export function startBrowserOnPages(engine: EngineName): Promise<Browser> {
  return startBrowser(engine, {
    ...clientFiles(),
    ...TRAFFIC_FILES,
    '/real.html': talkingBack(REAL_PAGE),
    '/bare.html': talkingBack(BARE_PAGE),
    '/transactions.html': talkingBack(TRANSACTION_PAGE),
  })
}

export interface Network {
  relay: Relay
  proxy: TcpProxy
  admin: RelayClient
  /** Of the proxy, for pages. */
  url: string
}

/** All of it ends with the test. */
export async function startNetwork(browser: Browser, config: Partial<RelayConfig> = {}): Promise<Network> {
  const relay = await startRelay({ config: { allowOrigins: [browser.pages.origin], heartbeatMs: 1_000, ...config } })
  const proxy = await startTcpProxy({ port: Number(new URL(relay.http.url).port) })
  onTestFinished(() => proxy.close())
  const admin = await RelayClient.open(relay.websocket.url)
  return { relay, proxy, admin, url: `ws://127.0.0.1:${proxy.port}/` }
}

export const pathOf = (page: string, parameters: Record<string, string>) => `${page}?${new URLSearchParams(parameters)}`
