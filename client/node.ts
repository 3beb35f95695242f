/** What Node programs use: the client's names, with a `connect` that also speaks TCP, `kafka://host:port`. */
import { type ConnectOptions, connect as connectAnywhere } from './connect.ts'
import type { Ottla } from './ottla.ts'
import { isKafkaUrl } from './transport/kafka-url.ts'

export * from './index.ts'

/**
 * As in pages, and over TCP too: the Kafka door of a relay offers all that its WebSocket does. Apache Kafka itself can be
 * administered this way, and nothing more: it has no subscriptions.
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Ottla> {
  if (options.transport || !isKafkaUrl(url)) return connectAnywhere(url, options)
  const { tcpTransport } = await import('./transport/tcp.ts')
  return connectAnywhere(url, { ...options, transport: tcpTransport() })
}
