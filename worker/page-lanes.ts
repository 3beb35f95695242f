/** Live readers' connections of a page whose core is elsewhere: all are the page's own, so all end with the client. */
import { Lanes } from '../client/consumer/lanes.ts'
import { openAnonymousSession, sessionOpener } from '../client/own-connection.ts'
import type { Wallet } from '../client/sign-in/wallet.ts'
import { systemClock } from '../protocol/lib/clock.ts'
import { systemRandom } from '../protocol/lib/random.ts'
import type { PlainConnectionOptions } from './open-core.ts'

export class PageLanes extends Lanes {
  override async close(): Promise<void> {
    await super.close()
    await this.main.close()
  }
}

export async function openPageLanes(url: string, options: PlainConnectionOptions, wallet: Wallet): Promise<PageLanes> {
  const open = await sessionOpener(url, options, wallet)
  const openLive = (heartbeatMs?: number) => openAnonymousSession(open, systemClock, systemRandom, heartbeatMs)
  return new PageLanes(openLive(), openLive)
}
