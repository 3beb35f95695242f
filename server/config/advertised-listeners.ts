/**
 * Kafka's `advertised.listeners`: `PLAINTEXT://broker.example.org:9092,SSL://broker.example.org:9093`.
 *
 * A relay has one Kafka port, without TLS, so it is told the PLAINTEXT one, or the first where none has that name.
 */
import { ConfigError } from './definition.ts'

export const ADVERTISED_LISTENERS = 'advertised.listeners'

const LISTENER = /^(\w+):\/\/(\[[\da-f:.]+\]|[^\s:/,[\]]+):(\d{1,5})$/i
const PORT_MAX = 65_535
const ALLOWED = 'listeners such as PLAINTEXT://broker.example.org:9092'

/** @throws ConfigError when a part is no listener, or says no host that a client could reach. */
export function parseAdvertisedListeners(key: string, value: unknown): { host: string; port: number } {
  const parts = Array.isArray(value) ? value : String(value).split(',')
  const listeners = parts.map((part) => {
    const [, name = '', host = '', digits = ''] = LISTENER.exec(String(part).trim()) ?? []
    const port = Number(digits)
    if (host === '' || port < 1 || port > PORT_MAX) throw new ConfigError(key, part, ALLOWED)
    if (host === '0.0.0.0' || host === '[::]') throw new ConfigError(key, part, ALLOWED, 'no client can connect there')
    return { name, host: host.replace(/[[\]]/g, ''), port }
  })
  const plaintext = listeners.find(({ name }) => name.toUpperCase() === 'PLAINTEXT')
  const { host, port } = plaintext ?? listeners[0]!
  return { host, port }
}
