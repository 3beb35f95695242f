/** Encrypted replicas in a real Chromium: tabs that share one, a browser that starts anew, a tab with another secret. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'
import { startChromium } from '../support/chromium.ts'
import { clientFiles } from '../support/client-files.ts'
import { eventually } from '../support/eventually.ts'
import { startPageServer } from '../support/page-server.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { REAL_PAGE } from './fixtures/real-page.ts'

const LONG = { withinMs: 20_000 }

test('[ENC-7] tabs share an encrypted replica, a restart opens it again, another secret is refused and told', async () => {
  const pages = await startPageServer(clientFiles())
  onTestFinished(() => pages.close())
  pages.serve('/real.html', REAL_PAGE)
  const relay = await startRelay({ config: { allowOrigins: [pages.origin] } })
  await (await RelayClient.open(relay.websocket.url)).createTopic('notes')
  const profileDir = await mkdtemp(join(tmpdir(), 'ottla-profile-'))
  onTestFinished(() => rm(profileDir, { recursive: true, force: true, maxRetries: 5 }))
  const url = (replica: string, encryption: unknown) =>
    `${pages.origin}/real.html?${new URLSearchParams({ worker: 'shared', replica, relay: relay.websocket.url, encryption: JSON.stringify(encryption) })}`
  const values = (page: Page) => page.evaluate(() => window.readState().values)

  const first = await startChromium({ profileDir })
  onTestFinished(() => first.close())
  for (const [replica, encryption] of [
    ['of-a-secret', { secret: 'open sesame' }],
    ['of-the-device', 'device'],
  ] as const) {
    const page = await first.open(url(replica, encryption))
    await page.evaluate(() => window.send('marzipan', 2))
    await page.evaluate(() => window.outcome())
    const other = await first.open(url(replica, encryption))
    await eventually(async () => (await values(other)).length >= 2, LONG)
    await page.close()
    await other.close()
  }
  const tab = await first.open(url('of-a-secret', { secret: 'open sesame' }))
  await eventually(async () => (await values(tab)).length === 4, LONG)
  const stranger = await first.open(url('of-a-secret', { secret: 'open barley' }))
  await eventually(
    () => stranger.evaluate(() => window.ottla.status.storageError?.storage === ('locked' as never)),
    LONG,
  )
  expect(await values(stranger)).toEqual([])
  await first.kill()
  expect(await filesWith(profileDir, 'marzipan')).toEqual([])

  await relay.close()
  const second = await startChromium({ profileDir })
  onTestFinished(() => second.close())
  for (const encryption of [{ secret: 'open sesame' }, 'device']) {
    const replica = encryption === 'device' ? 'of-the-device' : 'of-a-secret'
    const page = await second.open(url(replica, encryption))
    await eventually(async () => (await values(page)).length >= 2, LONG)
  }
}, 120_000)

test('[ENC-9] the secret is changed for all tabs: they go on when the one that leads dies, and later ones need the new one', async () => {
  const pages = await startPageServer(clientFiles())
  onTestFinished(() => pages.close())
  pages.serve('/real.html', REAL_PAGE)
  const relay = await startRelay({ config: { allowOrigins: [pages.origin] } })
  await (await RelayClient.open(relay.websocket.url)).createTopic('notes')
  const chromium = await startChromium()
  onTestFinished(() => chromium.close())
  const open = (secret: string) => {
    const encryption = JSON.stringify({ secret })
    const query = new URLSearchParams({
      worker: 'dedicated',
      replica: 'changed',
      relay: relay.websocket.url,
      encryption,
    })
    return chromium.open(`${pages.origin}/real.html?${query}`)
  }
  const values = (page: Page) => page.evaluate(() => window.readState().values)
  const locked = (page: Page) => page.evaluate(() => window.ottla.status.storageError?.code === 'LOCKED')
  const leader = await open('old')
  await leader.evaluate(() => window.send('marzipan', 1))
  await eventually(async () => (await values(leader)).length === 1, LONG)
  const other = await open('old')
  await eventually(async () => (await values(other)).length === 1, LONG)
  const change = (page: Page, from: string, to: string) =>
    page.evaluate(
      (secrets) =>
        window.ottla.changeSecret(secrets).then(
          () => 'changed',
          ({ code }) => code,
        ),
      { from, to },
    )
  expect(await change(other, 'wrong', 'new')).toBe('LOCKED')
  expect(await change(other, 'old', 'new')).toBe('changed')
  await leader.close()
  await other.evaluate(() => window.send('nougat', 1))
  await eventually(async () => (await values(other)).length === 2, LONG)
  const late = await open('old')
  await eventually(() => locked(late), LONG)
  const right = await open('new')
  await eventually(async () => (await values(right)).length === 2, LONG)
}, 120_000)

async function filesWith(folder: string, text: string): Promise<string[]> {
  const all = await readdir(join(folder, 'Default'), { recursive: true, withFileTypes: true })
  const files = all.filter((entry) => entry.isFile() && entry.parentPath.includes('IndexedDB'))
  expect(files.length).toBeGreaterThan(0)
  const found: string[] = []
  for (const { parentPath, name } of files) {
    const path = join(parentPath, name)
    if ((await readFile(path)).includes(text)) found.push(path)
  }
  return found
}
