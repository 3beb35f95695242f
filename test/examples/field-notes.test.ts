/** Field notes on a phone: written offline, reloaded offline, in the log once; refusals that a person decides about. */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { bytes, connect, string } from '../../client/index.ts'
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

/** Every record of the topic's log, old versions of a key too. */
async function inLog(topic: string): Promise<string[]> {
  const ottla = await connect(stage.relay.websocket.url)
  const keys: string[] = []
  const reader = ottla.topic(topic, { key: string, value: bytes }).read({ from: 'beginning', follow: false })
  for await (const { key, value } of reader) keys.push(`${key} ${value?.length}`)
  await ottla.close()
  return keys
}

async function write(page: Page, text: string): Promise<void> {
  await page.getByRole('link', { name: 'Write' }).click()
  await page.getByLabel('What did you see?').fill(text)
}

const keep = (page: Page) => page.getByRole('button', { name: 'Keep this note' }).click()

/** Of noise, which hardly compresses: 700 pixels a side are far more than a record takes. */
async function addPicture(page: Page, side: number): Promise<void> {
  await page.locator('#file').evaluate(async (input: HTMLInputElement, pixels) => {
    const canvas = new OffscreenCanvas(pixels, pixels)
    const image = new ImageData(pixels, pixels)
    for (let at = 0; at < image.data.length; at += 65_536) crypto.getRandomValues(image.data.subarray(at, at + 65_536))
    canvas.getContext('2d')!.putImageData(image, 0, 0)
    const files = new DataTransfer()
    files.items.add(new File([await canvas.convertToBlob({ type: 'image/png' })], 'p.png', { type: 'image/png' }))
    input.files = files.files
    input.dispatchEvent(new Event('change', { bubbles: true }))
  }, side)
}

test('[EXA-1] a note with a photo, written and reloaded offline, is in the log once when there is a network again', async () => {
  const page = await stage.open()
  await shows(page, 'Online')
  await write(page, 'Three cranes, flying north')
  await keep(page)
  await shows(page, 'In the log')
  await startsOffline(page)
  await stage.stopRelay()

  await page.reload()
  await shows(page, /^Offline/)
  await shows(page, 'Three cranes, flying north')
  await write(page, 'A beaver dam, fresh')
  await addPicture(page, 700)
  await shows(page, /Made smaller, from .* MB to .* MB/)
  await page.reload()
  await page.locator('#photo-preview').waitFor()
  expect(await page.getByLabel('What did you see?').inputValue()).toBe('A beaver dam, fresh')
  await keep(page)
  await shows(page, 'On this device, not sent yet')
  await shows(page, '1 to send')
  await page.locator('.card img[src]').waitFor()
  await page.reload()
  await shows(page, 'On this device, not sent yet')
  await page.locator('.card img[src]').waitFor()

  await stage.startRelay()
  await page.locator('.chip[data-state=committed]').nth(1).waitFor({ timeout: 30_000 })
  await page.getByRole('link', { name: 'Outbox' }).click()
  await shows(page, 'Nothing waits')
  const [notes, photos] = [await inLog('field-notes'), await inLog('field-photos')]
  expect([notes.length, photos.length]).toEqual([2, 1])
  expect(notes[1]!.split(' ')[0]).toBe(photos[0]!.split(' ')[0])
  await page.close()
})

test('[EXA-2] what is no picture is refused by the form; what the relay refuses waits with its reason, to be edited', async () => {
  const ottla = await connect(stage.relay.websocket.url)
  const page = await stage.open('#write')
  await shows(page, 'Online')
  await page
    .locator('#file')
    .setInputFiles({ name: 'p.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('no picture') })
  await shows(page, 'This file is no picture')
  const limit = (value: string) =>
    ottla.admin.incrementalAlterConfigs([{ resource: { topic: 'field-photos' }, name: 'max.message.bytes', value }])
  await limit('2000')
  await write(page, 'A heron')
  await addPicture(page, 120)
  await shows(page, /Photo added/)
  await keep(page)
  await shows(page, /^Refused/)
  await page.getByRole('link', { name: 'Decide in the outbox' }).click()
  await shows(page, '1 refused')
  await limit('1048588')
  await page.getByRole('button', { name: 'Edit' }).click()
  expect(await page.getByLabel('What did you see?').inputValue()).toBe('A heron')
  await page.getByLabel('What did you see?').fill('A heron, standing')
  await keep(page)
  await shows(page, 'A heron, standing')
  await page.getByRole('link', { name: 'Outbox' }).click()
  await shows(page, 'Nothing waits')
  expect((await inLog('field-photos')).length).toBe(2)
  await page.close()
  await ottla.close()
})

test('[EXA-3] by keyboard, and on a phone of 360 px, nothing is out of reach', async () => {
  const page = await stage.open('', { width: 360, height: 740 })
  await shows(page, 'A heron, standing')
  await page.keyboard.press('Tab')
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to content')
  for (const screen of ['Notes', 'Write', 'Outbox']) {
    await page.getByRole('link', { name: screen }).press('Enter')
    await page.getByRole('link', { name: screen, exact: false }).and(page.locator('[aria-current=page]')).waitFor()
    expect(await page.evaluate(() => document.documentElement.scrollWidth), screen).toBeLessThanOrEqual(360)
  }
  await page.close()
})
