import { appendFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { describeApplications } from './applications.ts'
import { describeEngine } from './behaviours.ts'
import { pathOf, startBrowserOnPages, startNetwork } from './stage.ts'

describeEngine('chromium')
describeApplications('chromium')

test('[REP-20] what was stored survives a browser that was killed while it wrote to its database', async () => {
  const browser = await startBrowserOnPages('chromium')
  onTestFinished(() => browser.close())
  const { proxy, admin, url } = await startNetwork(browser)
  await admin.createTopic('notes')
  proxy.setMode('close')
  const path = pathOf('/real.html', { relay: url, replica: 'torn', worker: 'auto' })
  const storeMore = async (prefix: string) => {
    const tab = await browser.open(path)
    await tab.until(() => typeof window.send === 'function', 30_000)
    await tab.evaluate(async (name: string) => {
      window.send(name, 5)
      await window.stored()
    }, prefix)
    return tab
  }
  await storeMore('first')
  await browser.kill()
  // The head of an entry, as LevelDB writes it before the entry: the kill came in between.
  await appendFile(await newestLog(browser.profileDir), Buffer.from([1, 2, 3, 4, 200, 0, 1]))
  await browser.start()
  await storeMore('second')
  await browser.kill()
  await browser.start()
  const tab = await storeMore('third')
  const waiting = await tab.evaluate(async () =>
    (await window.ottla.outbox.list()).map(({ recordCount }) => recordCount),
  )
  expect(waiting.reduce((sum, count) => sum + count, 0)).toBe(15)
}, 120_000)

test('[REP-20] a page that holds the database of the start open holds up nobody', async () => {
  const browser = await startBrowserOnPages('chromium')
  onTestFinished(() => browser.close())
  const { admin, url } = await startNetwork(browser)
  await admin.createTopic('notes')
  const holder = await browser.open('/bare.html')
  await holder.evaluate(
    () => new Promise((resolve) => (indexedDB.open('ottla-log', 1).onsuccess = () => resolve(undefined))),
  )
  const tab = await browser.open(pathOf('/real.html', { relay: url, replica: 'held-up', worker: 'auto' }))
  await tab.until(() => typeof window.send === 'function', 30_000)
  const outcome = await tab.evaluate(() => {
    window.send('anyhow', 1)
    return window.outcome()
  })
  expect(outcome).toEqual([0])
}, 60_000)

async function newestLog(profileDir: string): Promise<string> {
  const databases = join(profileDir, 'Default/IndexedDB')
  const folder = (await readdir(databases)).find(
    (name) => name.startsWith('http_127.0.0.1') && name.endsWith('.leveldb'),
  )
  const logs = (await readdir(join(databases, folder!))).filter((name) => name.endsWith('.log'))
  return join(databases, folder!, logs.sort().at(-1)!)
}
