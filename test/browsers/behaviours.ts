/**
 * What must be so in every engine: one file for each runs all of this in one browser. Each test has a replica, a relay and a
 * network of its own.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Table } from '../../client/index.ts'
import { databaseName } from '../../client/replica/idb-format.ts'
import { tablesDatabaseName } from '../../client/table/idb-format.ts'
import type { RelayConfig } from '../../server/config.ts'
import { eventually } from '../support/eventually.ts'
import { storedRecords } from '../support/stored-records.ts'
import { putBackToVersion1 } from '../support/tables-version-1.ts'
import type { Browser } from './engine/browser.ts'
import type { EngineName } from './engine/recipes.ts'
import type { Tab } from './engine/tab.ts'
import type { TrafficNote } from './fixtures/traffic.ts'
import { pathOf, startBrowserOnPages, startNetwork } from './stage.ts'
import { TrafficJournal } from './traffic-journal.ts'

declare global {
  interface Window {
    places: Table<string, { town: string }>
    handled: string[]
    partsHere(): number
  }
}

const LONG = { withinMs: 30_000 }
/** Promised are two seconds; the rest is for a machine that has others to serve. */
const HAND_OVER_MS = 3_000

const expected = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
const valuesIn = (tab: Tab) => tab.evaluate(() => window.readState().values)
const sendIn = (tab: Tab, prefix: string, count: number) =>
  tab.evaluate((many: { prefix: string; count: number }) => window.send(many.prefix, many.count), { prefix, count })
const storedIn = (tab: Tab) => tab.evaluate(() => window.stored())
const outcomeIn = (tab: Tab) => tab.evaluate(() => window.outcome())

export function describeEngine(engine: EngineName): void {
  describe(engine, () => {
    let browser: Browser
    let tabs: Tab[] = []
    let replicas = 0
    beforeAll(async () => {
      browser = await startBrowserOnPages(engine)
    }, 120_000)
    afterAll(() => browser?.close())
    afterEach(async () => {
      for (const tab of tabs) if (tab.isOpen) await tab.close()
      tabs = []
    })

    async function open(page: string, parameters: Record<string, string>): Promise<Tab> {
      const tab = await browser.open(pathOf(page, parameters))
      tabs.push(tab)
      return tab
    }

    /** A network of its own, with a topic, and tabs on one replica over it. */
    async function scene(topic: string, worker: string, config: Partial<RelayConfig> = {}) {
      const network = await startNetwork(browser, config)
      const topicId = await network.admin.createTopic(topic)
      const parameters = { relay: network.url, replica: `${engine}-${++replicas}`, worker }
      return {
        ...network,
        topicId,
        parameters,
        openTab: async (page = '/real.html', more: Record<string, string> = {}) => {
          const tab = await open(page, { ...parameters, ...more })
          await tab.until(() => window.ottla !== undefined)
          return tab
        },
        logged: async () => (await storedRecords(network.relay.websocket.url, topicId, 0)).map(({ value }) => value),
      }
    }

    for (const worker of ['shared', 'dedicated', 'none']) {
      test(`[WRK-21] two tabs write and read over one connection (${worker})`, async () => {
        const { openTab, proxy } = await scene('notes', worker)
        const first = await openTab()
        await sendIn(first, 'first', 50)
        expect(await outcomeIn(first)).toEqual(Array.from({ length: 50 }, (_, offset) => offset))
        const second = await openTab()
        await eventually(async () => (await valuesIn(second)).length === 50, LONG)
        await sendIn(second, 'second', 50)
        await outcomeIn(second)
        const all = [...expected('first', 50), ...expected('second', 50)]
        for (const tab of [first, second]) await eventually(async () => `${await valuesIn(tab)}` === `${all}`, LONG)
        expect(proxy.counters.open).toBe(1)
      }, 60_000)
    }

    test('[WRK-22] offline: a page that is loaded again shows its replica, what it writes is stored, and goes out once', async () => {
      const { openTab, proxy, logged } = await scene('notes', 'auto')
      const tab = await openTab()
      await sendIn(tab, 'online', 500)
      await outcomeIn(tab)
      await eventually(async () => (await valuesIn(tab)).length === 500, LONG)
      proxy.setMode('close')
      await tab.until(() => window.ottla.status.state === 'offline')
      await sendIn(tab, 'offline', 10)
      await storedIn(tab)
      await tab.reload()
      await tab.until(() => window.ottla !== undefined)
      await eventually(async () => (await valuesIn(tab)).length === 500, LONG)
      await sendIn(tab, 'reloaded', 10)
      expect(new Set(await storedIn(tab))).toEqual(new Set(['fulfilled']))
      proxy.setMode('pass')
      await tab.evaluate(() => window.ottla.wake())
      expect(await outcomeIn(tab)).toEqual(Array.from({ length: 10 }, (_, index) => 510 + index))
      const all = [...expected('online', 500), ...expected('offline', 10), ...expected('reloaded', 10)]
      expect(await logged()).toEqual(all)
      await eventually(async () => `${await valuesIn(tab)}` === `${all}`, LONG)
    }, 90_000)

    for (const worker of ['shared', 'dedicated']) {
      test(`[WRK-9] the leading tab crashes in the midst of writing: another leads, nothing is lost, doubled or moved (${worker})`, async () => {
        const { openTab, relay, topicId } = await scene('traffic', worker)
        const journal = listen()
        const leader = await openTab('/traffic.html', { writer: '1.leader' })
        await leader.findProcess()
        const others = [
          await openTab('/traffic.html', { writer: '1.second' }),
          await openTab('/traffic.html', { writer: '1.third' }),
        ]
        for (const writer of ['1.leader', '1.second', '1.third']) {
          await eventually(() => journal.committedBy(writer) > 5, LONG)
        }
        await handOver(journal, () => leader.crash())
        await expectAllOnce(others, journal, relay.websocket.url, topicId)
      }, 90_000)
    }

    test('[WRK-23] the leading tab crashes in the midst of sending what was stored offline, and acknowledgements are lost: all is there once', async () => {
      const { openTab, proxy, logged } = await scene('notes', 'dedicated')
      const leader = await openTab()
      await leader.findProcess()
      const other = await openTab()
      await sendIn(other, 'online', 1)
      await outcomeIn(other)
      proxy.setMode('close')
      await leader.until(() => window.ottla.status.state === 'offline')
      await sendIn(leader, 'lost-tab', 100)
      await storedIn(leader)
      await sendIn(other, 'living-tab', 100)
      await storedIn(other)
      const { bytesDropped } = proxy.counters
      proxy.setMode('drop-down')
      await leader.evaluate(() => window.ottla.wake())
      // It asks, is heard and never hears.
      await eventually(() => proxy.counters.bytesDropped > bytesDropped, LONG)
      await leader.crash()
      proxy.setMode('pass')
      await other.evaluate(() => window.ottla.wake())
      expect((await outcomeIn(other)).filter((each) => typeof each === 'string')).toEqual([])
      await other.until(() => window.ottla.status.outbox.pendingEntries === 0)
      expect(await logged()).toEqual([...['online-0', ...expected('lost-tab', 100)], ...expected('living-tab', 100)])
    }, 90_000)

    test('[WRK-10] a page in the back/forward cache holds no lead, and goes on when it returns', async () => {
      const { openTab, logged } = await scene('notes', 'dedicated')
      const leader = await openTab('/real.html', { 'page-cache': '' })
      const other = await openTab()
      await leader.evaluate(() => void Object.assign(window, { wasHereBefore: true }))
      await leader.goto('/elsewhere.html?page-cache')
      await sendIn(other, 'while-away', 10)
      expect(await outcomeIn(other)).toEqual(Array.from({ length: 10 }, (_, offset) => offset))
      await leader.back()
      await leader.until(() => window.ottla?.status.state === 'live')
      const isKept = await leader.evaluate(() => 'wasHereBefore' in window)
      console.log(`${engine}: the page ${isKept ? 'was kept' : 'was loaded anew'}`)
      await sendIn(leader, 'returned', 10)
      await outcomeIn(leader)
      const all = [...expected('while-away', 10), ...expected('returned', 10)]
      expect(await logged()).toEqual(all)
      for (const tab of [leader, other]) await eventually(async () => `${await valuesIn(tab)}` === `${all}`, LONG)
    }, 60_000)

    test('[COD-1] batches of kcat in each codec are read', async () => {
      const { relay, openTab } = await scene('notes', 'auto', { kafkaPort: 0 })
      const values = ['gzip', 'snappy', 'lz4', 'zstd'].map((codec) => `${codec} ${'compresses well, '.repeat(100)}`)
      for (const value of values) {
        const args = ['-b', relay.kafka!.address, '-P', '-t', 'notes', '-z', value.split(' ')[0]!]
        const writing = promisify(execFile)('kcat', args, { timeout: 20_000 })
        writing.child.stdin?.end(value)
        await writing
      }
      const tab = await openTab()
      await eventually(async () => `${await valuesIn(tab)}` === `${values}`, LONG)
    }, 60_000)

    test('[TXN-78] a transaction made offline in a tab that is closed goes out once, and whole', async () => {
      const { admin, openTab, proxy, parameters } = await scene('debits', 'auto')
      await admin.createTopic('credits')
      const first = await openTab('/transactions.html')
      await first.until(() => window.ready && window.ottla.status.state === 'live')
      await first.until(() =>
        performance.getEntriesByType('resource').some(({ name }) => /transactions\.js/.test(name)),
      )
      proxy.setMode('close')
      await first.until(() => window.ottla.status.state === 'offline')
      expect(await first.evaluate(() => window.transact('kept'))).toMatchObject({ durability: 'device' })
      await first.close()
      proxy.setMode('pass')
      const next = await open('/transactions.html', parameters)
      await next.until(() => window.ready && window.ottla.status.outbox.pendingEntries === 0, 30_000)
      await next.until(() => `${window.seen.debits}` === 'kept' && `${window.seen.credits}` === 'kept')
    }, 90_000)

    test('[TAB-17] a table of two tabs: written offline, seen as pending by the other, then committed by both', async () => {
      const { admin, proxy, parameters } = await scene('unused', 'auto')
      await admin.createTopic('places', { configs: { 'cleanup.policy': 'compact' } })
      const openTable = async () => {
        const tab = await open('/bare.html', {})
        await tab.until(() => window.client !== undefined)
        await tab.evaluate(async ({ relay, replica }: { relay: string; replica: string }) => {
          const ottla = await window.client.connect(relay, { replica })
          const places = await ottla.table<string, { town: string }>('places', { indexes: { byTown: 'town' } })
          Object.assign(window, { ottla, places })
        }, parameters)
        return tab
      }
      const one = await openTable()
      const two = await openTable()
      const towns = (tab: Tab) =>
        tab.evaluate(async () => {
          const rows = await window.places.range({ index: 'byTown' })
          return rows.map(({ value, state }) => `${value.town} ${state}`).join()
        })
      await one.evaluate(async () => void (await window.places.put('p1', { town: 'Praha' }).committed))
      await eventually(async () => (await towns(two)) === 'Praha committed', LONG)
      proxy.setMode('close')
      await one.until(() => window.ottla.status.state === 'offline')
      await one.evaluate(async () => void (await window.places.put('p2', { town: 'Brno' }).stored))
      await eventually(async () => (await towns(two)) === 'Brno pending,Praha committed', LONG)
      proxy.setMode('pass')
      await two.evaluate(() => window.ottla.wake())
      for (const tab of [one, two]) {
        await eventually(async () => (await towns(tab)) === 'Brno committed,Praha committed', LONG)
      }
    }, 90_000)

    test('[TAB-24] a table that an older version has left is whole without network, its indexes too', async () => {
      const { admin, proxy, parameters } = await scene('unused', 'auto')
      await admin.createTopic('places', { configs: { 'cleanup.policy': 'compact' } })
      const bareTab = async () => {
        const tab = await open('/bare.html', {})
        await tab.until(() => window.client !== undefined)
        return tab
      }
      const openTable = (tab: Tab) =>
        tab.evaluate(async ({ relay, replica }: { relay: string; replica: string }) => {
          const ottla = await window.client.connect(relay, { replica })
          const places = await ottla.table<string, { town: string }>('places', { indexes: { byTown: 'town' } })
          Object.assign(window, { ottla, places })
        }, parameters)
      const before = await bareTab()
      await openTable(before)
      await before.evaluate(async () => {
        await window.places.whenReady()
        const puts = ['Praha', 'Brno', 'Plzeň'].map((town, index) => window.places.put(`p${index}`, { town }))
        await Promise.all(puts.map(({ committed }) => committed))
      })
      await before.until(async () => (await window.places.range()).every(({ state }) => state === 'committed'))
      await before.close()
      proxy.setMode('close')
      const after = await bareTab()
      await after.evaluate(putBackToVersion1, tablesDatabaseName(parameters.replica!))
      await openTable(after)
      const towns = await after.evaluate(async () =>
        (await window.places.range({ index: 'byTown' })).map(({ value }) => value.town),
      )
      expect(towns).toEqual(['Brno', 'Plzeň', 'Praha'])
      expect(await after.evaluate(() => window.places.count())).toBe(3)
    }, 90_000)

    test('[CON-21] tabs in a group share what there is, and a receipt says that a record was handled', async () => {
      const { admin, parameters } = await scene('unused', 'auto')
      await admin.createTopic('parcels', { partitions: 2 })
      const join = async () => {
        const tab = await open('/bare.html', {})
        await tab.until(() => window.client !== undefined)
        await tab.evaluate(async ({ relay, replica }: { relay: string; replica: string }) => {
          const ottla = await window.client.connect(relay, { replica })
          const consumer = ottla.group('delivery').read('parcels', { value: window.client.string, from: 'beginning' })
          const handled: string[] = []
          void consumer
            .each(({ value }) => void handled.push(value ?? ''))
            .catch((error) => handled.push(String(error)))
          Object.assign(window, { ottla, handled, partsHere: () => consumer.status?.partitions.length ?? 0 })
        }, parameters)
        return tab
      }
      const members = [await join(), await join()]
      for (const tab of members) await tab.until(() => window.partsHere() === 1, 30_000)
      await members[0]!.evaluate(async () => {
        const parcels = window.ottla.topic('parcels', { value: window.client.string })
        const receipts = [0, 1].map((partition) =>
          parcels.send({ value: `to ${partition}`, partition }, { receipt: 'delivery', deadlineMs: 20_000 }),
        )
        await Promise.all(receipts.map(({ processed }) => processed))
      })
      const handled = await Promise.all(members.map((tab) => tab.evaluate(() => window.handled)))
      expect(handled.flat().sort()).toEqual(['to 0', 'to 1'])
      expect(handled.map(({ length }) => length)).toEqual([1, 1])
    }, 90_000)

    test('[STO-5] a database that is deleted, or cleared by the site, under an open page: said at once, and fetched again', async () => {
      const { openTab, parameters } = await scene('notes', 'auto')
      const tab = await openTab()
      await sendIn(tab, 'kept', 3)
      await outcomeIn(tab)
      await eventually(async () => (await valuesIn(tab)).length === 3, LONG)
      const other = await open('/bare.html', {})
      const generationIs = (generation: number) =>
        eventually(async () => {
          const range = await tab.evaluate(() => window.ottla.status.topics[0]?.replica[0])
          expect(range).toMatchObject({ generation, upToDate: true, start: 0, end: 3 })
          return true
        }, LONG)
      await generationIs(0)
      await other.evaluate(
        (name: string) =>
          new Promise((resolve, reject) => {
            const request = indexedDB.deleteDatabase(name)
            request.onsuccess = () => resolve(null)
            request.onerror = () => reject(request.error)
          }),
        databaseName(parameters.replica),
      )
      await generationIs(1)
      await other.evaluate(() => fetch('/elsewhere.html?clear-site-data').then(({ status }) => status))
      await generationIs(2)
      await sendIn(tab, 'after', 1)
      expect((await outcomeIn(tab)).at(-1)).toBe(3)
    }, 90_000)

    test('[WRK-22] what was stored offline survives the death of the whole browser, and goes out once', async () => {
      const { openTab, proxy, logged } = await scene('notes', 'auto')
      const tab = await openTab()
      await sendIn(tab, 'online', 10)
      await outcomeIn(tab)
      proxy.setMode('close')
      await sendIn(tab, 'stored', 100)
      await storedIn(tab)
      await browser.kill()
      proxy.setMode('pass')
      await browser.start()
      tabs = []
      const next = await openTab()
      await next.until(() => window.ottla.status.state === 'live' && window.ottla.status.outbox.pendingEntries === 0)
      const all = [...expected('online', 10), ...expected('stored', 100)]
      expect(await logged()).toEqual(all)
      await eventually(async () => `${await valuesIn(next)}` === `${all}`, LONG)
    }, 120_000)

    test('[ENC-7] an encrypted replica is there again, offline, once the browser has died: under a key of the device, under a secret', async () => {
      const kinds = ['device', { secret: 'correct horse' }].map((kind) => ({ encryption: JSON.stringify(kind) }))
      const scenes = [await scene('notes', 'auto'), await scene('notes', 'auto')]
      for (const [index, { openTab }] of scenes.entries()) {
        const tab = await openTab('/real.html', kinds[index])
        await sendIn(tab, 'sealed', 10)
        await outcomeIn(tab)
        await eventually(async () => (await valuesIn(tab)).length === 10, LONG)
        expect(await tab.evaluate(() => window.ottla.status.storageError)).toBeNull()
      }
      await browser.kill()
      for (const { proxy } of scenes) proxy.setMode('close')
      await browser.start()
      tabs = []
      for (const [index, { openTab }] of scenes.entries()) {
        const tab = await openTab('/real.html', kinds[index])
        await eventually(async () => `${await valuesIn(tab)}` === `${expected('sealed', 10)}`, LONG)
      }
    }, 120_000)

    function listen(): TrafficJournal {
      const journal = new TrafficJournal()
      browser.talkBack.onNote = (note) => journal.note(note as TrafficNote)
      return journal
    }
  })
}

/** Ends the leader, and waits until others' writes are committed again. */
async function handOver(journal: TrafficJournal, endLeader: () => Promise<void>): Promise<void> {
  await endLeader()
  const at = performance.now()
  const before = journal.committed
  await eventually(() => journal.committed > before + 20, { withinMs: HAND_OVER_MS, what: 'another leads' })
  console.log(`handed over within ${Math.round(performance.now() - at)} ms`)
}

async function expectAllOnce(tabs: Tab[], journal: TrafficJournal, url: string, topicId: string): Promise<void> {
  for (const tab of tabs) await tab.evaluate(() => window.stopTraffic())
  for (const tab of tabs) await tab.until(() => window.isDrained(), 30_000)
  const { report } = await journal.judge(url, topicId, 1)
  expect(journal.complaints).toEqual([])
  expect(report.anomalies.map(({ kind, text }) => `${kind}: ${text}`)).toEqual([])
  expect(report.isComplete).toBe(true)
}
