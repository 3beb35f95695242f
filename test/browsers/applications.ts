/**
 * What applications build on, in every engine: documents edited together, channels, hooks, signing in, leaving a device, and a
 * start without any network. The tests of tabs, replica and outbox are in behaviours.ts.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect as connectTcp } from 'node:net'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Channel } from '../../client/channels/channel.ts'
import { connect, json, string } from '../../client/index.ts'
import { FRAMEWORKS, pageCode, pageOf } from '../client/hooks/page-code.ts'
import { bundle } from '../support/bundle.ts'
import { eventually } from '../support/eventually.ts'
import { nextRelease } from '../support/next-release.ts'
import { startPageServer } from '../support/page-server.ts'
import { startRelay, temporaryFolder } from '../support/relay.ts'
import { storedInPage } from '../support/stored-in-page.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import type { Browser } from './engine/browser.ts'
import type { EngineName } from './engine/recipes.ts'
import type { Tab } from './engine/tab.ts'
import { ENTRY_PAGE, TALK_BACK_SCRIPT } from './engine/talk-back-page.ts'
import { pathOf, startBrowserOnPages, startNetwork, talkingBack } from './stage.ts'

declare global {
  interface Window {
    editor: typeof import('../worker/fixtures/editor-page.ts').editor
    channel: Channel<string, string>
    heard: string[]
  }
}

const LONG = { withinMs: 30_000 }

export function describeApplications(engine: EngineName): void {
  describe(`applications in ${engine}`, () => {
    let browser: Browser
    let tabs: Tab[] = []
    let replicas = 0
    beforeAll(async () => {
      browser = await startBrowserOnPages(engine)
      browser.pages.serve(
        '/editor.html',
        talkingBack('<!doctype html><script type="module" src="/editor.js"></script>'),
      )
      browser.pages.serve('/editor.js', await bundle('../worker/fixtures/editor-page.ts', import.meta.url))
    }, 120_000)
    afterAll(() => browser?.close())
    afterEach(async () => {
      for (const tab of tabs) if (tab.isOpen) await tab.close()
      tabs = []
    })

    async function open(page: string, parameters: Record<string, string> = {}): Promise<Tab> {
      const tab = await browser.open(pathOf(page, parameters))
      tabs.push(tab)
      return tab
    }

    async function openClient(url: string, replica: string): Promise<Tab> {
      const tab = await open('/real.html', { relay: url, replica, worker: 'auto' })
      await tab.until(() => window.ottla !== undefined)
      return tab
    }

    /** Firefox breaks off what a page does, wherever it stands, while its tab is being closed. */
    const waysToLeave = [
      ...(engine === 'firefox' ? [] : [['closed ', (tab: Tab) => tab.close()] as const]),
      ['left ', (tab: Tab) => tab.goto('/elsewhere.html')] as const,
      ['reloaded ', (tab: Tab) => tab.reload()] as const,
    ]
    const newReplica = () => `${engine}-application-${++replicas}`

    async function editors(documentId: string) {
      const { proxy, url } = await startNetwork(browser, { autoCreateTopics: true })
      const relay = url.replace(/\/$/, '')
      return {
        proxy,
        openEditor: async (more: Record<string, string> = {}) => {
          const tab = await open('/editor.html', { relay, document: documentId, ...more })
          await untilEditing(tab)
          return tab
        },
      }
    }

    test('[DOC-9] a document is edited offline, loaded again there, and on return everybody has everything', async () => {
      const { proxy, openEditor } = await editors(`trip of ${engine}`)
      const [one, two] = [await openEditor(), await openEditor()]
      await append(one, 'Praha ')
      await untilAllHave([one, two], 'Praha ')
      await append(two, 'Brno ')
      await untilAllHave([one, two], 'Praha Brno ')
      proxy.setMode('close')
      await one.until(() => !window.editor.isSynced())
      await append(one, 'Wien ')
      await one.reload()
      await untilEditing(one)
      await untilAllHave([one], 'Praha Brno Wien ')
      await append(one, 'Berlin ')
      await two.close()
      proxy.setMode('pass')
      await one.evaluate(() => window.editor.wake())
      await one.until(() => window.editor.isSynced() && window.editor.isSaved(), 30_000)
      await untilAllHave([one, await openEditor()], 'Praha Brno Wien Berlin ')
    }, 90_000)

    test('[DOC-21] an edit of the moment before a tab is closed, loaded again or left is on the device', async () => {
      const { proxy, openEditor } = await editors(`left in ${engine}`)
      const stays = await openEditor()
      await append(stays, 'begun ')
      await stays.until(() => window.editor.isSaved())
      proxy.setMode('close')
      for (const [index, [word, leave]] of waysToLeave.entries()) {
        const tab = await openEditor()
        await append(tab, word)
        await leave(tab)
        await eventually(async () => (await stays.evaluate(() => window.editor.waiting())) === index + 1, {
          ...{ ...LONG, what: `${word}is in the outbox` },
        })
      }
      const text = await (await openEditor()).evaluate(() => window.editor.text())
      expect(text.split(/(?<= )/).sort()).toEqual(['begun ', ...waysToLeave.map(([word]) => word)])
    }, 90_000)

    test('[DOC-8] the stock provider of y-websocket edits the same document, and both kinds see who is there', async () => {
      const { openEditor } = await editors(`shared in ${engine}`)
      const [ours, stock] = [await openEditor(), await openEditor({ stock: 'yes' })]
      await append(ours, 'ours ')
      await untilAllHave([ours, stock], 'ours ')
      await append(stock, 'theirs ')
      await untilAllHave([ours, stock], 'ours theirs ')
      await ours.evaluate(() => window.editor.nameMe('Ada'))
      await stock.evaluate(() => window.editor.nameMe('Bob'))
      for (const tab of [ours, stock]) await tab.until(() => window.editor.names().join() === 'Ada,Bob')
      await stock.close()
      await ours.until(() => window.editor.names().join() === 'Ada', 30_000)
    }, 90_000)

    test('[SND-6] what lingers is handed over when its page is closed, loaded again or left', async () => {
      const { admin, proxy, url } = await startNetwork(browser)
      await admin.createTopic('notes')
      const replica = newReplica()
      const stays = await openClient(url, replica)
      await stays.until(() => window.ottla.status.state === 'live')
      proxy.setMode('close')
      for (const [index, [word, leave]] of waysToLeave.entries()) {
        const tab = await openClient(url, replica)
        await tab.evaluate(async () => {
          const topic = window.ottla.topic('notes', { lingerMs: 600_000 })
          const value = new TextEncoder().encode('lingering')
          topic.send({ value })
          // By then the page has found its worker, and what it sends with.
          await topic.flush()
          topic.send({ value })
        })
        await leave(tab)
        await eventually(
          async () => (await stays.evaluate(() => window.ottla.outbox.list())).length === 2 * (index + 1),
          {
            ...LONG,
            what: `${word}is handed over`,
          },
        )
      }
    }, 90_000)

    test('[CHN-10] two tabs behind one worker, and somebody elsewhere, see each other; a tab that is closed has left', async () => {
      const { relay, admin, url } = await startNetwork(browser)
      await admin.createTopic('notes')
      const ottla = await connect(relay.websocket.url)
      onTestFinished(() => ottla.close())
      const elsewhere = await ottla.channel<string, string>('notes', 'n1', { state: 'elsewhere' })
      const replica = newReplica()
      const join = async (name: string) => {
        const tab = await openClient(url, replica)
        await tab.evaluate(async (state: string) => {
          window.heard = []
          window.channel = await window.ottla.channel<string, string>('notes', 'n1', { state })
          window.channel.onMessage((message) => window.heard.push(message))
        }, name)
        return tab
      }
      const [one, two] = [await join('one'), await join('two')]
      await untilOthers(one, 'elsewhere,two')
      await untilOthers(two, 'elsewhere,one')
      await elsewhere.send('hello')
      for (const tab of [one, two]) await tab.until(() => window.heard.join() === 'hello')
      await two.close()
      await untilOthers(one, 'elsewhere')
      await eventually(() => elsewhere.others.map(({ state }) => state).join() === 'one', LONG)
    }, 90_000)

    test('[SAS-37] a page’s worker signs in with what the page gives, and again with what another tab gives later', async () => {
      const usersFile = join(await temporaryFolder(), 'users')
      writeFileSync(usersFile, 'ada:secret\n', { mode: 0o600 })
      const saslEnabledMechanisms = ['SCRAM-SHA-256' as const]
      const { url } = await startNetwork(browser, { saslEnabledMechanisms, usersFile, autoCreateTopics: true })
      const signIn = async (password: string, replica: string) => {
        const tab = await open('/bare.html')
        await tab.until(() => window.client !== undefined)
        const options = { url, replica, password }
        await tab.evaluate(async ({ url, replica, password }: typeof options) => {
          window.ottla = await window.client.connect(url, { replica, auth: { username: 'ada', password } })
        }, options)
        return tab
      }
      const replica = newReplica()
      const first = await signIn('wrong', replica)
      await first.evaluate(() => {
        const notes = window.ottla.topic('notes', { value: window.client.string })
        return notes.send({ value: 'kept' }).stored
      })
      await first.until(() => window.ottla.status.state === 'needs-auth')
      await signIn('secret', replica)
      await first.until(() => window.ottla.status.state === 'live' && window.ottla.status.outbox.pendingRecords === 0)
    }, 90_000)

    test('[LGO-7] a logout closes every tab of the user, and the next user sees nothing', async () => {
      const { admin, proxy, url } = await startNetwork(browser)
      await admin.createTopic('notes')
      const [ada, bob] = [newReplica(), newReplica()]
      const [page, other] = [await openClient(url, ada), await openClient(url, ada)]
      await page.evaluate(() => {
        window.send('a secret of ada', 1)
        return window.outcome()
      })
      await other.until(() => window.readState().values.length === 1)
      await page.evaluate(() => window.ottla.logout({ pending: 'send' }))
      await other.until(() => window.ottla.status.state === 'closed')
      expect(await page.evaluate(storedInPage, ada)).toEqual([1, 'ended', 'ended'])
      proxy.setMode('close')
      const next = await openClient(url, bob)
      await next.evaluate(() => {
        window.send('of bob', 1)
        return window.stored()
      })
      expect(await next.evaluate(() => window.ottla.outbox.list().then(({ length }) => length))).toBe(1)
      expect(await next.evaluate(() => window.readState().values)).toEqual([])
    }, 90_000)

    test.each(FRAMEWORKS)(
      '[HKS-5] hooks of %s show what changes, errors too, and let go of everything when they are unmounted',
      async (framework) => {
        browser.pages.serve(`/${framework}.js`, await pageCode(framework))
        browser.pages.serve(`/${framework}.html`, talkingBack(pageOf(framework)))
        const { relay, proxy, url } = await startNetwork(browser)
        const writer = await connect(relay.websocket.url)
        onTestFinished(() => writer.close())
        await writer.admin.createTopics([{ name: 'notes', configs: { 'cleanup.policy': 'compact' } }])
        const tab = await open(`/${framework}.html`, { relay: url })
        const shows = (wanted: Record<string, string>) =>
          eventually(async () => expect(await factsIn(tab)).toMatchObject(wanted), { ...LONG, what: framework })
        const notes = writer.topic<string, string>('notes', { value: string })
        await shows({ state: 'live', rows: '', outbox: '0', missing: 'UNKNOWN_TOPIC' })
        await notes.send({ key: 'n1', value: '"one"' }).committed
        await notes.send({ key: 'm1', value: '"two"' }).committed
        await shows({ rows: 'n1=one committed', records: '"one","two"' })
        await tab.evaluate(() => window.page.select('m'))
        await shows({ rows: 'm1=two committed', records: '"one","two"' })
        // The former table is let go of.
        await tab.until(() => window.page.opened.tables === 1)
        proxy.setMode('close')
        await tab.until(() => window.page.ottla.status.state !== 'live')
        await tab.evaluate(async () => {
          const table = await window.page.ottla.table<string, string>('notes')
          await table.put('m2', 'three').stored
          table.close()
        })
        await shows({ rows: 'm1=two committed, m2=three pending', outbox: '1' })
        await tab.evaluate(() => window.page.unmount())
        await tab.until(() => Object.values(window.page.opened).every((count) => count === 0))
        expect(await tab.evaluate(() => document.querySelector('#root')!.textContent)).toBe('')
      },
      90_000,
    )

    test('[OFF-1] an update of a page waits for a yes, and takes no form away', async () => {
      const site = await serveFieldNotes(browser)
      const tab = await browser.open('/index.html#write', site.origin)
      tabs.push(tab)
      await tab.until(() => navigator.serviceWorker.controller !== null, 30_000)
      await write(tab, 'half a sentence')
      site.release('The next version')
      await tab.evaluate(async () => void (await navigator.serviceWorker.getRegistration())?.update())
      await tab.until(() => /A new version is ready/.test(document.querySelector('#update')!.textContent!), 30_000)
      expect(await tab.evaluate(() => document.title)).toBe('Field notes')
      await tab.evaluate(() => document.querySelector<HTMLButtonElement>('#update-apply')!.click())
      await eventually(() => tab.evaluate(() => document.title === 'The next version').catch(() => false), LONG)
      await tab.until(() => document.querySelector<HTMLTextAreaElement>('#text')!.value === 'half a sentence')
    }, 120_000)

    test('[OFF-7] a page starts without any network, keeps what is written there, and sends it once when there is one', async () => {
      const site = await serveFieldNotes(browser)
      const tab = await browser.open('/index.html#write', site.origin)
      tabs.push(tab)
      await tab.until(() => navigator.serviceWorker.controller !== null, 30_000)
      await tab.until(() => /^Online/.test(document.querySelector('#state')!.textContent!))
      site.proxy.setMode('close')
      await tab.reload()
      await tab.until(() => /^(Offline|Connecting)/.test(document.querySelector('#state')!.textContent!), 30_000)
      await write(tab, 'from the tunnel')
      await tab.evaluate(() => document.querySelector<HTMLFormElement>('#form')!.requestSubmit())
      await tab.until(() => /1 to send/.test(document.querySelector('#state')!.textContent!))
      await tab.close()
      site.proxy.setMode('pass')
      const next = await browser.open('/index.html', site.origin)
      tabs.push(next)
      await next.until(() => document.querySelector('#state')!.textContent === 'Online', 30_000)
      expect(await site.notes()).toEqual(['from the tunnel'])
    }, 120_000)
  })
}

const untilEditing = (tab: Tab) => tab.until(() => window.editor !== undefined, 30_000)

const append = (tab: Tab, words: string) => tab.evaluate((given: string) => window.editor.append(given), words)

async function untilAllHave(editors: readonly Tab[], text: string): Promise<void> {
  for (const tab of editors) {
    await eventually(async () => expect(await tab.evaluate(() => window.editor.text())).toBe(text), LONG)
  }
}

/** Into the form of field notes. */
const write = (tab: Tab, words: string) =>
  tab.evaluate((text: string) => {
    const field = document.querySelector<HTMLTextAreaElement>('#text')!
    field.value = text
    field.dispatchEvent(new Event('input', { bubbles: true }))
  }, words)

const othersIn = (tab: Tab) =>
  tab.evaluate(() =>
    window.channel.others
      .map(({ state }) => state)
      .sort()
      .join(),
  )

const untilOthers = (tab: Tab, names: string) =>
  eventually(async () => (await othersIn(tab)) === names, { ...LONG, what: `${tab.name} sees ${names}` })

const factsIn = (tab: Tab) =>
  tab.evaluate(() => Object.fromEntries([...document.querySelectorAll('#root p')].map((p) => [p.id, p.textContent])))

/** The example with a relay behind the same address, for as long as its network is there. */
async function serveFieldNotes(browser: Browser) {
  const files = fieldNotesFiles(new URL(browser.pages.origin).host)
  const site = await startPageServer(files)
  onTestFinished(() => site.close())
  const proxy = await startTcpProxy({ port: Number(new URL(site.origin).port) })
  onTestFinished(() => proxy.close())
  const origin = `http://127.0.0.1:${proxy.port}`
  const relay = await startRelay({ config: { allowOrigins: [origin] } })
  forwardUpgrades(site.http, Number(new URL(relay.http.url).port))
  return {
    origin,
    proxy,
    release(title: string) {
      const next = nextRelease(String(files['/index.html']), String(files['/service-worker.js']), title)
      site.serve('/index.html', next.html)
      site.serve('/service-worker.js', next.worker)
    },
    async notes() {
      const ottla = await connect(relay.websocket.url)
      onTestFinished(() => ottla.close())
      const notes = ottla.topic<string, { text: string }>('field-notes', { value: json<{ text: string }>() })
      const texts: string[] = []
      for await (const { value } of notes.read({ from: 'beginning', follow: false })) texts.push(value!.text)
      return texts
    },
  }
}

/** Its page calls the server of the tests at `host`, which stays when its own goes. */
function fieldNotesFiles(host: string): Record<string, Uint8Array | string> {
  const folder = fileURLToPath(new URL('../../dist/examples/field-notes/', import.meta.url))
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = names.map(({ parentPath, name }) => join(parentPath, name))
  const files = Object.fromEntries(paths.map((path) => [`/${relative(folder, path)}`, readFileSync(path)]))
  // Once there is a service worker, it answers for the entry page too.
  const nameItself = "window.name ||= new URLSearchParams(location.search).get('name')"
  const script = TALK_BACK_SCRIPT.replace('location.host', JSON.stringify(host))
  const html = String(files['/index.html']).replace('<head>', `<head><script>${nameItself};${script}</script>`)
  return { ...files, '/index.html': html, '/entry.html': ENTRY_PAGE }
}

function forwardUpgrades(server: Server, port: number): void {
  server.on('upgrade', ({ method, url, rawHeaders }, socket, head) => {
    const relay = connectTcp(port, '127.0.0.1')
    const headers = rawHeaders.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('')
    relay.write(`${method} ${url} HTTP/1.1\r\n${headers}\r\n`)
    relay.write(head)
    relay.pipe(socket).pipe(relay)
    relay.on('error', () => socket.destroy())
    socket.on('error', () => relay.destroy())
  })
}
