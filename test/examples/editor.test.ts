/** The editor: two windows and a stock y-websocket client at one text, with cursors, and without a network. */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { stockEditor } from '../support/editors.ts'
import { eventually } from '../support/eventually.ts'
import { type PageStage, setPageStage, shows, startsOffline } from '../support/page-stage.ts'

// Browsers on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

const WINDOW = { width: 800, height: 600 }

let stage: PageStage

beforeAll(async () => {
  stage = await setPageStage('examples/editor')
})

afterAll(async () => {
  await stage?.close()
})

async function openEditor(document: string): Promise<Page> {
  const page = await stage.open(`#${document}`, WINDOW)
  await page.locator('.cm-content').waitFor()
  await shows(page, 'Saved', 20_000)
  return page
}

/** As CodeMirror shows it; without the names at carets. */
const textIn = (page: Page) =>
  page.locator('.cm-line').evaluateAll((lines) =>
    lines
      .map((line) => {
        const copy = line.cloneNode(true) as HTMLElement
        for (const each of copy.querySelectorAll('.caret, .cm-placeholder, .cm-widgetBuffer')) each.remove()
        return copy.textContent
      })
      .join('\n'),
  )

const has = (page: Page, text: string) =>
  eventually(
    async () => {
      expect(await textIn(page)).toBe(text)
      return true
    },
    { withinMs: 15_000, everyMs: 100 },
  )

test('[EXA-4] two windows and a stock y-websocket client have one text, and see who is where', async () => {
  const [one, two] = [await openEditor('minutes'), await openEditor('minutes')]
  await one.getByLabel('Your name').fill('Ada')
  await two.locator('#people li', { hasText: 'Ada' }).waitFor()
  await one.locator('.cm-content').click()
  await one.keyboard.type('Present: Ada')
  await has(two, 'Present: Ada')
  await two.locator('.caret-name', { hasText: 'Ada' }).waitFor()
  const stock = stockEditor(stage.relay.websocket.url, 'minutes')
  const text = stock.doc.getText('text')
  await eventually(() => text.toString() === 'Present: Ada', { withinMs: 10_000 })
  stock.provider.awareness.setLocalStateField('user', { name: 'Stock' })
  await two.locator('#people li', { hasText: 'Stock' }).waitFor()
  text.insert(text.length, ', Bob')
  await has(one, 'Present: Ada, Bob')
  await has(two, 'Present: Ada, Bob')
  await one.close()
  await two.locator('#people li', { hasText: 'Ada' }).waitFor({ state: 'detached' })
  await two.close()
})

test('[EXA-5] what two windows type without a network survives a reload, and becomes one text', async () => {
  const [one, two] = [await openEditor('trip'), await openEditor('trip')]
  await startsOffline(one)
  await one.locator('.cm-content').click()
  await one.keyboard.type('Day one.')
  await has(two, 'Day one.')
  await shows(one, 'Saved')
  await stage.stopRelay()
  await shows(one, /^Offline/)
  await one.locator('.cm-content').click()
  await one.keyboard.press('Control+Home')
  await one.keyboard.type('Up early. ')
  await two.locator('.cm-content').click()
  await two.keyboard.press('Control+End')
  await two.keyboard.type(' Rain.')
  await has(two, 'Up early. Day one. Rain.')
  await one.reload()
  await shows(one, /^Offline/)
  await has(one, 'Up early. Day one. Rain.')
  await stage.startRelay()
  await shows(one, 'Saved', 25_000)
  const stock = stockEditor(stage.relay.websocket.url, 'trip')
  await eventually(() => stock.doc.getText('text').toString() === 'Up early. Day one. Rain.', { withinMs: 10_000 })
  await one.close()
  await two.close()
})
