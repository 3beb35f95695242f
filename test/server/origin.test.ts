/** Which pages may connect: what a browser says about where a page comes from, compared exactly. */
import { describe, expect, test } from 'vitest'
import { isOriginAllowed } from '../../server/listener/origin.ts'
import { startRelay } from '../support/relay.ts'
import { RawWebSocket, upgradeRequest } from './support/raw-web-socket.ts'

const OWN = ['http://127.0.0.1:8092', 'http://localhost:8092', 'http://[::1]:8092']
const ALLOWED = [
  'https://app.example.org',
  'http://dev.example.org:3000',
  'https://bücher.example',
  'https://slash.example/',
]

const table: Array<[origin: string | undefined, isAllowed: boolean, why: string]> = [
  [undefined, true, 'no browser'],
  ['http://127.0.0.1:8092', true, 'its own page'],
  ['http://localhost:8092', true, 'its own page by name'],
  ['http://[::1]:8092', true, 'its own page over IPv6'],
  ['https://app.example.org', true, 'listed'],
  ['http://dev.example.org:3000', true, 'listed with a port'],
  ['https://xn--bcher-kva.example', true, 'listed in Unicode, sent as browsers send it'],
  ['https://slash.example', true, 'listed with a slash'],
  ['null', false, 'sandboxed frame, file, redirect'],
  ['', false, 'empty'],
  [' ', false, 'blank'],
  ['*', false, 'a star is no origin'],
  ['undefined', false, 'a word'],
  ['app.example.org', false, 'no scheme'],
  ['http://app.example.org', false, 'other scheme'],
  ['wss://app.example.org', false, 'other scheme'],
  ['ftp://app.example.org', false, 'other scheme'],
  ['file://', false, 'a file'],
  ['javascript:alert(1)', false, 'not a place'],
  ['data:text/html,x', false, 'not a place'],
  ['chrome-extension://app.example.org', false, 'an extension'],
  ['https://app.example.org:444', false, 'other port'],
  ['https://app.example.org:443', false, 'the default port is never written'],
  ['http://dev.example.org', false, 'port left out'],
  ['http://dev.example.org:30000', false, 'longer port'],
  ['http://dev.example.org:300', false, 'shorter port'],
  ['https://app.example.org.evil.test', false, 'suffix'],
  ['https://evilapp.example.org', false, 'prefix'],
  ['https://evil.app.example.org', false, 'a name below it'],
  ['https://example.org', false, 'a name above it'],
  ['https://app-example.org', false, 'dot as any character'],
  ['https://app.example.org.', false, 'rooted name'],
  ['HTTPS://APP.EXAMPLE.ORG', false, 'upper case is not what browsers send'],
  ['https://user@app.example.org', false, 'userinfo'],
  ['https://app.example.org@evil.test', false, 'name as userinfo'],
  ['https://evil.test/https://app.example.org', false, 'in the path'],
  ['https://evil.test?https://app.example.org', false, 'in the query'],
  ['https://evil.test#https://app.example.org', false, 'in the fragment'],
  ['https://app.example.org/', false, 'with a path'],
  ['https://app.example.org https://evil.test', false, 'two'],
  ['https://app.example.org,https://evil.test', false, 'two, with a comma'],
  ['https://bücher.example', false, 'Unicode is not what browsers send'],
  ['https://аpp.example.org', false, 'a Cyrillic letter'],
  ['http://127.1:8092', false, 'short form of its own address'],
  ['http://2130706433:8092', false, 'its own address as a number'],
  ['http://0x7f.0.0.1:8092', false, 'its own address in hex'],
  ['http://[::ffff:127.0.0.1]:8092', false, 'its own address mapped'],
  ['http://0.0.0.0:8092', false, 'any address'],
  ['http://127.0.0.1', false, 'its own host, other port'],
  ['http://127.0.0.1:8093', false, 'another program on this machine'],
  ['https://127.0.0.1:8092', false, 'its own host, other scheme'],
  ['http://localhost.evil.test:8092', false, 'rebinding'],
]

describe('the table of origins', () => {
  test.each(table)('[SEC-2] %s: %s (%s)', (origin, isAllowed) => {
    expect(isOriginAllowed(origin, { allowed: ALLOWED, own: () => OWN })).toBe(isAllowed)
  })

  test('[SEC-3] a star admits every page, and nothing less does', () => {
    expect(isOriginAllowed('https://evil.test', { allowed: ['*'], own: () => OWN })).toBe(true)
    expect(isOriginAllowed('https://evil.test', { allowed: ['https://*', 'https://*.test', ''], own: () => OWN })).toBe(
      false,
    )
  })
})

describe('at the door', () => {
  async function statusFor(url: string, headers: Record<string, string>): Promise<string> {
    const raw = await RawWebSocket.dial(url)
    raw.socket.write(upgradeRequest(headers))
    await expect.poll(() => raw.status).toBeDefined()
    raw.reset()
    return raw.status!
  }

  test('[SEC-4] a page from elsewhere is refused with 403 before there is a connection; whatever Host says', async () => {
    const relay = await startRelay({ config: { allowOrigins: ['https://app.example.org'] } })
    const { host } = new URL(relay.http.url)
    const status = (headers: Record<string, string>) => statusFor(relay.websocket.url, headers)
    expect(await status({})).toContain('101')
    expect(await status({ Origin: relay.http.url })).toContain('101')
    expect(await status({ Origin: 'https://app.example.org' })).toContain('101')
    expect(await status({ Origin: 'https://evil.test' })).toContain('403')
    expect(await status({ Origin: 'null' })).toContain('403')
    expect(
      await status({ Origin: `http://evil.test:${host.split(':')[1]}`, Host: `evil.test:${host.split(':')[1]}` }),
    ).toContain('403')
  })
})
