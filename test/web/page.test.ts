/** The built page in a real Chromium against a real relay. Console errors and policy violations fail `close()`. */
import { readFile } from 'node:fs/promises'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../../client/node.ts'
import { type PageStage, setPageStage, shows, startsOffline } from '../support/page-stage.ts'
import { RelayClient } from '../support/relay-client.ts'

const SCREENS = ['live', 'topics', 'groups', 'write', 'outbox', 'connection']

let stage: PageStage
beforeAll(async () => {
  stage = await setPageStage('web', { size: { width: 1280, height: 800 }, config: { autoCreateTopics: true } })
})
afterAll(async () => {
  await stage?.close()
})

function flights(count: number): string[] {
  return Array.from({ length: count }, (_, i) =>
    JSON.stringify({
      date: `2001-01-01 ${String(i % 24).padStart(2, '0')}:00`,
      delay: i % 90,
      distance: 1500,
      origin: 'DEN',
      destination: i % 2 ? 'JFK' : 'LAX',
    }),
  )
}

const hasState = (page: Page, state: string) =>
  page.locator(`.badge[data-state="${state}"]`).waitFor({ timeout: 20_000 })

test('flights written to the relay move over the map and are counted', async () => {
  const feeder = await RelayClient.open(stage.relay.websocket.url)
  await feeder.sayHello()
  const topicId = await feeder.createTopic('flights')
  await feeder.produce(topicId, flights(300))
  const page = await stage.open('#/live')
  await hasState(page, 'live')
  await shows(page, '300 flights on this device')
  await feeder.produce(topicId, flights(50))
  await shows(page, '350 flights on this device')
  await shows(page, /DEN → (JFK|LAX)/)
  await page.waitForFunction(() => {
    const sky = document.querySelectorAll('canvas')[1]
    const pixels = sky?.getContext('2d')?.getImageData(0, 0, sky.width, sky.height).data ?? []
    return pixels.some((value) => value > 0)
  })
  await page.close()
})

test('a write is stored, then committed, then readable in its topic, all by keyboard', async () => {
  const page = await stage.open('#/topics')
  await hasState(page, 'live')
  await page.keyboard.press('g')
  await page.keyboard.press('w')
  await page.locator('[name=value]').focus()
  await page.keyboard.type('{"text":"hello"}')
  await page.keyboard.press('Control+Enter')
  await shows(page, /In the log at 0 · 0/)
  await page.locator('h1').click()
  await page.keyboard.press('g')
  await page.keyboard.press('t')
  await page.getByRole('link', { name: 'notes' }).press('Enter')
  await shows(page, '{"text":"hello"}')
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await shows(page, 'notes 0 · 0')
  await page.keyboard.press('Escape')
  await page.close()
})

test('[PAGE-1] groups show their state, their members, and how far each is behind, as it changes', async () => {
  const ottla = await connect(stage.relay.websocket.url)
  await ottla.admin.createTopics([{ name: 'orders', partitions: 2 }])
  const orders = ottla.topic('orders')
  const write = (count: number) =>
    Promise.all(Array.from({ length: count }, () => orders.send({ value: Uint8Array.of(1), partition: 0 }).committed))
  await write(7)
  await ottla.admin.alterConsumerGroupOffsets('billing', [{ topic: 'orders', partition: 0, offset: 3 }])
  const page = await stage.open('#/groups')
  await shows(page, 'Empty, 0 members, 4 records behind')
  await shows(page, 'at 3 of 7, 4 behind')
  await write(2)
  await shows(page, 'at 3 of 9, 6 behind')
  const consumer = ottla.group('billing').read(orders, { from: 'beginning' })
  const reading = consumer.each(() => {})
  await shows(page, /Stable, 1 member, nothing left to read/, 20_000)
  await consumer.close()
  await reading
  await page.close()
  await ottla.close()
})

test('the page starts offline, shows its flights, keeps a write and sends it when the relay is back', async () => {
  const before = await stage.open('#/live')
  await shows(before, '350 flights on this device')
  await startsOffline(before)
  await before.close()
  await stage.stopRelay()

  const page = await stage.open('#/live')
  await hasState(page, 'offline')
  await shows(page, '350 flights on this device')
  await shows(page, /this is what your device holds/)
  await page.goto(`${stage.url}/#/write`)
  await page.locator('[name=value]').fill('written in a tunnel')
  await page.keyboard.press('Control+Enter')
  await shows(page, /on this device, on its way to the log/)
  await shows(page, '1 to send')

  await stage.startRelay()
  await shows(page, /In the log at 0 · 1/, 30_000)
  await hasState(page, 'live')
  await page.close()
})

test('[PAGE-2] the outbox goes into a file that every client reads, and comes back from one', async () => {
  const page = await stage.open('#/write')
  await startsOffline(page)
  await hasState(page, 'live')
  await stage.stopRelay()
  await page.locator('[name=value]').fill('kept in a file')
  await page.keyboard.press('Control+Enter')
  await shows(page, '1 to send')
  await page.evaluate(() => {
    location.hash = '#/outbox'
  })
  const downloading = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Export' }).click()
  const path = (await (await downloading).path())!
  const elsewhere = await connect(stage.relay.websocket.url, { lazy: true })
  expect(await elsewhere.importOutbox(new Blob([await readFile(path)]))).toMatchObject({ imported: 1 })
  expect(await elsewhere.outbox.list()).toMatchObject([{ topic: 'notes' }])
  await elsewhere.close()

  await page.getByLabel('File of an outbox').setInputFiles(path)
  await shows(page, '0 writes taken in · 1 known already')
  await page
    .getByLabel('File of an outbox')
    .setInputFiles({ name: 'x', mimeType: 'text/plain', buffer: Buffer.from('x') })
  await shows(page, /this is no ottla-outbox file/)
  await stage.startRelay()
  await hasState(page, 'live')
  await page.close()
})

test('a new release is offered, never forced, and the form keeps its text through it', async () => {
  const page = await stage.open('#/write')
  await startsOffline(page)
  await page.locator('[name=value]').fill('half a sentence')
  await stage.release('Another release')
  await page.evaluate(async () => void (await navigator.serviceWorker.getRegistration())?.update())
  const reload = page.getByRole('button', { name: 'Reload' })
  await reload.waitFor({ timeout: 10_000 })
  expect(await page.locator('[name=value]').inputValue()).toBe('half a sentence')
  const loaded = page.waitForEvent('load')
  await reload.click()
  await loaded
  await page.locator('[name=value]').waitFor()
  expect(await page.locator('[name=value]').inputValue()).toBe('half a sentence')
  expect(await page.evaluate(async () => (await fetch('/index.html')).text())).toContain('Another release')
  await page.close()
})

test('by keyboard: the skip link comes first, the help lists the keys, nothing is out of reach', async () => {
  const page = await stage.open('#/live')
  await page.getByRole('button', { name: 'Pause', exact: true }).waitFor()
  await page.keyboard.press('Tab')
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to content')
  await page.keyboard.press('?')
  await page.getByRole('dialog').getByText('Pause or play').waitFor()
  await page.keyboard.press('Escape')
  await page.keyboard.press('Space')
  await page.getByRole('button', { name: 'Play', exact: true }).waitFor()
  await page.close()
})

test('no screen is wider than a phone of 360 px', async () => {
  const page = await stage.open('#/live', { width: 360, height: 740 })
  for (const screen of [...SCREENS, 'topics/flights']) {
    await page.goto(`${stage.url}/#/${screen}`)
    await page.locator('main h1').first().waitFor({ state: 'attached' })
    const widths = await page.evaluate(() => [
      document.documentElement.scrollWidth,
      document.querySelector('main')!.scrollWidth,
    ])
    expect({ screen, widest: Math.max(...widths) }).toEqual({ screen, widest: 360 })
  }
  await page.close()
})
