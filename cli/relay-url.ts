/**
 * Which relay a command talks to: `--url` or `--bootstrap-server`, else OTTLA_URL, else the default of `ottla serve` on
 * this machine.
 */

import { brokerAddresses, isKafkaUrl } from '../client/transport/kafka-url.ts'
import { type Flag, type Invocation, textFlag, UsageError } from './command.ts'
import { signInFlags } from './sign-in.ts'

const DEFAULT_URL = 'ws://127.0.0.1:8092'

/** Of every command that needs a relay. */
export const connectionFlags: readonly Flag[] = [
  {
    name: 'url',
    short: 'u',
    value: 'URL',
    doc: 'The relay: ws://, wss://, or kafka:// for its Kafka door. [OTTLA_URL]',
    default: DEFAULT_URL,
  },
  {
    name: 'bootstrap-server',
    value: 'HOST:PORT',
    doc: 'The Kafka door, or an Apache Kafka to be administered; several are separated by commas.',
  },
  ...signInFlags,
]

/** @throws UsageError unless it is an address. `http://` addresses are taken as their `ws://` twins. */
export function relayUrl(invocation: Invocation): string {
  const servers = textFlag(invocation, 'bootstrap-server')
  if (servers !== undefined) {
    if (textFlag(invocation, 'url') !== undefined) throw new UsageError('give --url or --bootstrap-server, not both')
    return checkedKafkaUrl('--bootstrap-server', servers, `kafka://${servers}`)
  }
  const given = textFlag(invocation, 'url') ?? (invocation.environment.OTTLA_URL || DEFAULT_URL)
  if (isKafkaUrl(given)) return checkedKafkaUrl('--url', given, given)
  const withScheme = given.includes('://') ? given : `ws://${given}`
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined
  if (url?.protocol === 'http:') url.protocol = 'ws:'
  if (url?.protocol === 'https:') url.protocol = 'wss:'
  if (!url || !/^wss?:$/.test(url.protocol)) {
    throw new UsageError(`--url: '${given}' is not allowed; use an address such as ${DEFAULT_URL}`)
  }
  return url.href
}

function checkedKafkaUrl(flag: string, given: string, url: string): string {
  try {
    brokerAddresses(url)
    return url
  } catch {
    throw new UsageError(`${flag}: '${given}' is not allowed; use an address such as 127.0.0.1:9092`)
  }
}
