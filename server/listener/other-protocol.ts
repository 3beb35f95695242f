/**
 * Tells by the first bytes of a connection what knocked at the wrong door, and what its owner should do about it.
 *
 * Kafka's first four bytes are a size, so below a few megabytes the first byte is 0; none of the others begins so.
 */

const HTTP = /^(GET |HEAD|POST|PUT |DELE|OPTI|PATC|TRAC|CONN|PRI )/
const TLS_HANDSHAKE = 0x16

export interface OtherProtocol {
  isHttp: boolean
  /** What it is, where it came, and the remedy, as one line for the log. */
  says: string
}

/** What the first four bytes of a connection to the Kafka port are, unless they are Kafka's. */
export function atKafkaPort(start: Uint8Array, httpUrl: string): OtherProtocol | undefined {
  const text = Buffer.from(start).toString('latin1')
  const found = (says: string, isHttp = false) => ({ isHttp, says })
  if (HTTP.test(text)) {
    const remedy = `pages and WebSockets are served at ${httpUrl}`
    return found(`an HTTP request arrived on the Kafka port; ${remedy}`, text !== 'PRI ')
  }
  if (isTlsHello(start))
    return found(
      'a TLS client hello arrived on the plain Kafka port; set security.protocol=PLAINTEXT in that client, or put a proxy that ends TLS in front',
    )
  if (text === 'SSH-') return found('an SSH client arrived on the Kafka port; it is looking for another program')
  if (text === 'PROX' || text === '\r\n\r\n')
    return found('a PROXY protocol header arrived on the Kafka port; switch that off in the load balancer')
  return undefined
}

/** What came to the HTTP port instead of a request, as far as it is known. */
export function atHttpPort(start: Uint8Array, kafkaAddress: string | undefined): string | undefined {
  if (isTlsHello(start))
    return 'a TLS client hello arrived on the plain HTTP port; use ws:// and http://, or put a proxy that ends TLS in front'
  if (!isKafkaRequest(start)) return undefined
  const remedy = kafkaAddress ? `Kafka clients connect to ${kafkaAddress}` : 'the Kafka port is off, see --kafka-port'
  return `a Kafka request arrived on the HTTP port; ${remedy}`
}

/** A client's first record: handshake, then version 3.x, whatever TLS it speaks. */
function isTlsHello(start: Uint8Array): boolean {
  return start[0] === TLS_HANDSHAKE && start[1] === 3 && start[2]! <= 4
}

/** A size of less than 16 MiB, then an API key and a version as there are. */
function isKafkaRequest(start: Uint8Array): boolean {
  return start.length >= 8 && start[0] === 0 && start[4] === 0 && start[5]! < 128 && start[6] === 0 && start[7]! < 32
}
