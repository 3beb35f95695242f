/** What an application's service worker does besides its shell: updates that take no form away, and an outbox that drains alone. */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { connect, json } from '../../client/index.ts'
import { eventually } from '../support/eventually.ts'
import { type PageStage, setPageStage, shows, startsOffline } from '../support/page-stage.ts'

// Browsers on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

let stage: PageStage

beforeAll(async () => {
  stage = await setPageStage('examples/field-notes')
})

afterAll(async () => {
  await stage?.close()
})

const form = (page: Page) => page.getByLabel('What did you see?')
const banner = (page: Page, text: string | RegExp) =>
  page.getByRole('alert').getByText(text).waitFor({ timeout: 15_000 })
const askForUpdate = (page: Page) =>
  page.evaluate(async () => void (await navigator.serviceWorker.getRegistration())?.update())

async function openForm(): Promise<Page> {
  const page = await stage.open('#write')
  await shows(page, /^Online/)
  await startsOffline(page)
  return page
}

async function notesInLog(): Promise<string[]> {
  const ottla = await connect(stage.relay.websocket.url)
  const notes = ottla.topic<string, { text: string }>('field-notes', { value: json<{ text: string }>() })
  const texts: string[] = []
  for await (const { value } of notes.read({ from: 'beginning', follow: false })) texts.push(value!.text)
  await ottla.close()
  return texts
}

/** As the browser does it when it has a network again. */
async function dispatchSync(tag: string): Promise<void> {
  const watcher = await stage.chromium.open('about:blank')
  const session = await watcher.context().newCDPSession(watcher)
  const registered = new Promise<string>((resolve) => {
    session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      const ours = registrations.find(
        ({ scopeURL, isDeleted }) => scopeURL === new URL('/', stage.url).href && !isDeleted,
      )
      if (ours) resolve(ours.registrationId)
    })
  })
  await session.send('ServiceWorker.enable')
  const registrationId = await registered
  await session.send('ServiceWorker.dispatchSyncEvent', {
    origin: new URL(stage.url).origin,
    registrationId,
    tag,
    lastChance: false,
  })
  await watcher.close()
}

test('[OFF-1] an update waits for a yes; every tab is told, keeps its own form, and only the one that said yes is loaded', async () => {
  const [one, two] = [await openForm(), await openForm()]
  await form(one).fill('half a sentence')
  await form(two).fill('another one')
  await stage.release('The next version')
  await askForUpdate(one)
  await banner(one, 'A new version is ready')
  await banner(two, 'A new version is ready')
  expect([await one.title(), await two.title()]).toEqual(['Field notes', 'Field notes'])

  const loaded = one.waitForEvent('load')
  await one.getByRole('button', { name: 'Update' }).click()
  await loaded
  await shows(one, /^Online/)
  expect([await one.title(), await form(one).inputValue()]).toEqual(['The next version', 'half a sentence'])
  await banner(two, 'Another tab has changed to a new version')
  expect([await two.title(), await form(two).inputValue()]).toEqual(['Field notes', 'another one'])
  await two.getByRole('button', { name: 'Update' }).click()
  await two.waitForFunction(() => document.title === 'The next version')
  await shows(two, /^Online/)
  expect(await form(two).inputValue()).toBe('another one')
  await one.close()
  await two.close()
})

test('[OFF-2] a version that waits is let in by itself when the only tab is opened with nothing unsaved, and not before', async () => {
  const page = await openForm()
  await form(page).fill('kept')
  await stage.release('By itself')
  await askForUpdate(page)
  await banner(page, 'A new version is ready')
  await page.reload()
  await banner(page, 'A new version is ready')
  expect(await form(page).inputValue()).toBe('kept')
  await page.getByRole('button', { name: 'Keep this note' }).click()
  await shows(page, 'In the log')
  await page.close()
  const next = await stage.open('#write')
  await next.waitForFunction(() => document.title === 'By itself', undefined, { timeout: 15_000 })
  await next.close()
})

test('[OFF-3] the outbox is sent with no tab open, once, when the browser says that there is a network', async () => {
  const page = await openForm()
  await stage.stopRelay()
  await shows(page, /^Offline/)
  for (const text of ['from the tunnel', 'and another']) {
    await page.getByRole('link', { name: 'Write' }).click()
    await form(page).fill(text)
    await page.getByRole('button', { name: 'Keep this note' }).click()
    await shows(page, text)
  }
  await shows(page, /2 to send/)
  const tags = await page.evaluate(async () => {
    const registration = (await navigator.serviceWorker.ready) as unknown as { sync: { getTags(): Promise<string[]> } }
    return registration.sync.getTags()
  })
  expect(tags).toEqual(['ottla-outbox:field-notes'])
  await page.close()
  await stage.startRelay()
  await dispatchSync('ottla-outbox:field-notes')
  await eventually(async () => (await notesInLog()).includes('and another'), { withinMs: 20_000, everyMs: 200 })
  expect((await notesInLog()).slice(-2)).toEqual(['from the tunnel', 'and another'])
})

test('[OFF-4] a tab that is opened while the service worker drains gets its lead, and what both have is sent once', async () => {
  const before = await notesInLog()
  const page = await openForm()
  await stage.stopRelay()
  await shows(page, /^Offline/)
  await form(page).fill('left behind')
  await page.getByRole('button', { name: 'Keep this note' }).click()
  await shows(page, /1 to send/)
  await page.close()
  // No relay: the service worker leads, and waits.
  await dispatchSync('ottla-outbox:field-notes')
  const next = await stage.open('#write')
  await shows(next, /1 to send/)
  await form(next).fill('and what came')
  await next.getByRole('button', { name: 'Keep this note' }).click()
  await shows(next, /2 to send/)
  await stage.startRelay()
  await shows(next, /^Online$/, 25_000)
  expect((await notesInLog()).slice(before.length)).toEqual(['left behind', 'and what came'])
  await next.close()
})
