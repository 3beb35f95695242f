/** The address of a relay's WebSocket door. */
import { OttlaError } from './errors.ts'

/** Throws INVALID_ARGUMENT for an address that is none. */
export function checkRelayUrl(url: string): void {
  const protocol = URL.canParse(url) ? new URL(url).protocol : ''
  if (protocol === 'ws:' || protocol === 'wss:') return
  throw new OttlaError('INVALID_ARGUMENT', {
    message: `"${url}" is not the address of a relay`,
    hint: 'it begins with ws:// or wss://; kafka:// is for Node',
  })
}
