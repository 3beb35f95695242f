/** Addresses of brokers: `kafka://127.0.0.1:9092`, or several to try, `kafka://a:9092,b:9092`. `tcp://` says the same. */
import { OttlaError } from '../errors.ts'

export interface BrokerAddress {
  host: string
  port: number
}

const SCHEME = /^(kafka|tcp):\/\//i
const ADDRESS = /^(\[[\da-f:.%]+\]|[^\s:/?#,[\]]+)(?::(\d{1,5}))?$/i
const DEFAULT_PORT = 9092
const PORT_MAX = 65_535

export const isKafkaUrl = (url: string): boolean => SCHEME.test(url)

/** Throws INVALID_ARGUMENT. */
export function brokerAddresses(url: string): BrokerAddress[] {
  const list = url.replace(SCHEME, '').replace(/\/$/, '').split(',')
  return list.map((each) => {
    const [, host = '', digits] = ADDRESS.exec(each.trim()) ?? []
    const port = digits === undefined ? DEFAULT_PORT : Number(digits)
    if (host !== '' && port >= 1 && port <= PORT_MAX) return { host: host.replace(/[[\]]/g, ''), port }
    throw new OttlaError('INVALID_ARGUMENT', {
      message: `"${url}" names no broker`,
      hint: 'write kafka://host:port, several hosts separated by commas',
    })
  })
}

export const kafkaUrl = ({ host, port }: BrokerAddress): string =>
  `kafka://${host.includes(':') ? `[${host}]` : host}:${port}`
