/** What a seat runs when it leads: the client's own core, put together from plain data. */

import type { Core } from '../client/core.ts'
import { type ConnectionOptions, openCore, sessionOpener } from '../client/own-connection.ts'
import type { Encryption } from '../client/replica/sealed/encryption.ts'
import type { CoreConfig } from './contract.ts'

/** The connection options that can cross to a worker. */
export type PlainConnectionOptions = Omit<ConnectionOptions, 'webSocket' | 'transport' | 'wakeUps' | 'clock' | 'random'>

export async function openCoreOf({ url, replica, options, life }: CoreConfig): Promise<Core> {
  const openSession = await sessionOpener(url, options as PlainConnectionOptions)
  return openCore(openSession, { replica, life, encryption: options.encryption as Encryption | undefined })
}
