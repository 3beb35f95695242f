/** Which relay a command talks to: `--url`, else OTTLA_URL, else the default of `ottla serve` on this machine. */

import { type Flag, type Invocation, textFlag, UsageError } from './command.ts'

const DEFAULT_URL = 'ws://127.0.0.1:8092'

export const urlFlag: Flag = {
  name: 'url',
  short: 'u',
  value: 'URL',
  doc: 'The relay. [OTTLA_URL]',
  default: DEFAULT_URL,
}

/** @throws UsageError unless it is a WebSocket address. `http://` addresses are taken as their `ws://` twins. */
export function relayUrl(invocation: Invocation): string {
  const given = textFlag(invocation, 'url') ?? (invocation.environment.OTTLA_URL || DEFAULT_URL)
  const withScheme = given.includes('://') ? given : `ws://${given}`
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined
  if (url?.protocol === 'http:') url.protocol = 'ws:'
  if (url?.protocol === 'https:') url.protocol = 'wss:'
  if (!url || !/^wss?:$/.test(url.protocol)) {
    throw new UsageError(`--url: '${given}' is not allowed; use an address such as ${DEFAULT_URL}`)
  }
  return url.href
}
