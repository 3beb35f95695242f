/** The dashboard shows the right totals, of what was there when it was opened and of what comes. Frames are measured by a script. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, json, type Ottla } from '../../client/index.ts'
import { Aggregate, COLUMN_MS } from '../../examples/dashboard/aggregate.ts'
import { type PageStage, setPageStage, shows } from '../support/page-stage.ts'

const SITES = ['north', 'east', 'south', 'west']
const WINDOW = { width: 1000, height: 800 }

let stage: PageStage
let ottla: Ottla

beforeAll(async () => {
  stage = await setPageStage('examples/dashboard')
  ottla = await connect(stage.relay.websocket.url)
})

afterAll(async () => {
  await ottla?.close()
  await stage?.close()
})

/** `each` for every site in turn: the kilowatts are 1, 2, 3 and 4. */
async function write(each: number): Promise<void> {
  const readings = ottla.topic('readings', { value: json<{ site: string; kilowatts: number }>() })
  const records = Array.from({ length: each * SITES.length }, (_, index) => {
    const at = index % SITES.length
    return { key: SITES[at]!, value: { site: SITES[at]!, kilowatts: at + 1 } }
  })
  await Promise.all(readings.sendAll(records).map(({ committed }) => committed))
}

test('[EXA-6] dashboard: totals are those of the log, for what was there and for what comes, also after the relay was away', async () => {
  await ottla.admin.createTopics([{ name: 'readings', partitions: 4 }])
  await write(2_500)
  const page = await stage.open('', WINDOW)
  const total = (count: string) => shows(page, count, 25_000)
  await total('10,000')
  const cells = () => page.locator('tbody tr').first().locator('td').allTextContents()
  expect(await cells()).toEqual(['1.0', '1.0', '1.0', '2,500'])
  await page.waitForFunction(() => {
    const canvas = document.querySelector('canvas')
    const pixels = canvas?.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? []
    return pixels.some((value) => value > 0)
  })
  await write(2_500)
  await total('20,000')
  await stage.stopRelay()
  await shows(page, 'Offline')
  await stage.startRelay()
  await shows(page, 'Live', 25_000)
  await write(250)
  await total('21,000')
  expect(await page.locator('#error').textContent()).toBe('')
  await page.close()
}, 60_000)

test('[EXA-7] dashboard: a column is the average of its time, empties when it is reused, and old readings count without being drawn', () => {
  const aggregate = new Aggregate()
  const start = 1_000_000 * COLUMN_MS
  aggregate.add({ site: 'north', kilowatts: 10 }, start)
  aggregate.add({ site: 'north', kilowatts: 20 }, start + 1)
  aggregate.add({ site: 'east', kilowatts: 5 }, start - 3_600_000)
  const columnsOf = (atMs: number) =>
    aggregate.snapshot(atMs).series.map((series) => [...series].filter((value) => !Number.isNaN(value)))
  expect(columnsOf(start + COLUMN_MS)).toEqual([[15], [], [], []])
  expect(columnsOf(start + 61_000)).toEqual([[], [], [], []])
  const { total, sites } = aggregate.snapshot(start + 61_000)
  expect([total, sites[0], sites[1]!.count]).toEqual([3, { count: 2, sum: 30, least: 10, most: 20 }, 1])
})
