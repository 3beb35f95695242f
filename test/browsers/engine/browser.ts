/**
 * A browser of any engine: a process of ours on a profile of its own, and its tabs.
 *
 *     const browser = await startBrowser('firefox', { '/page.html': PAGE })
 *     const tab = await browser.open('/page.html')
 *     await tab.evaluate(() => document.title)
 *     await browser.kill()          // SIGKILL to all of it; the profile stays
 *     await browser.start()         // again, on the same profile
 *
 * Invariants: only processes started here are ever signalled; `close` throws what pages threw, unless a test took it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../../support/eventually.ts'
import { type PageServer, startPageServer } from '../../support/page-server.ts'
import { descendantsOf, hardestAtWork, signal } from './process-tree.ts'
import { demandEngine, type EngineName, type Recipe } from './recipes.ts'
import { Tab } from './tab.ts'
import { TalkBack } from './talk-back.ts'
import { DESK_PAGE, ENTRY_PAGE, TALK_BACK_SCRIPT } from './talk-back-page.ts'

const START_MS_MAX = 60_000
const OUTPUT_CHARS_MAX = 4_000

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) killGroup(child)
})

export async function startBrowser(engine: EngineName, files: Record<string, string>): Promise<Browser> {
  const recipe = demandEngine(engine)
  const pages = await startPageServer({
    ...files,
    '/talk-back.js': TALK_BACK_SCRIPT,
    '/entry.html': ENTRY_PAGE,
    '/desk.html': DESK_PAGE,
    '/elsewhere.html': '<!doctype html><title>elsewhere</title><script src="/talk-back.js"></script>',
  })
  const profileDir = await mkdtemp(join(tmpdir(), `ottla-${engine}-`))
  const browser = new Browser(recipe, pages, profileDir)
  await browser.start()
  return browser
}

export class Browser {
  readonly pages: PageServer
  readonly talkBack: TalkBack
  readonly #recipe: Recipe
  readonly profileDir: string
  #child: ChildProcess | undefined
  #tabs = 0

  constructor(recipe: Recipe, pages: PageServer, profileDir: string) {
    this.#recipe = recipe
    this.profileDir = profileDir
    this.pages = pages
    this.talkBack = new TalkBack(pages.http)
  }

  /** On the profile as it is. */
  async start(): Promise<void> {
    this.talkBack.lines.clear()
    // Of another site than the tabs, whose processes it then never shares.
    const desk = `${this.pages.origin.replace('127.0.0.1', 'localhost')}/desk.html`
    const { file, args, environment } = await this.#recipe.command(this.profileDir, desk)
    // A group of its own, so that one signal reaches all its processes.
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']
    const child = spawn(file, args, { detached: true, stdio, env: { ...process.env, ...environment } })
    this.#child = child
    running.add(child)
    child.once('exit', () => running.delete(child))
    let said = ''
    const keep = (piece: Buffer) => {
      said = (said + piece).slice(-OUTPUT_CHARS_MAX)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    const failed = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`${file} ended early (${code ?? signal}): ${said}`)
    })
    failed.catch(() => {})
    const isUp = eventually(() => this.talkBack.lines.get('desk')?.isOpen, {
      withinMs: START_MS_MAX,
      what: `${file} is up`,
    })
    await Promise.race([isUp, failed])
  }

  /** A new tab, in front of the others. Another origin has ENTRY_PAGE too: a tab's name does not go from one to another. */
  async open(path: string, origin = this.pages.origin): Promise<Tab> {
    const name = `tab-${++this.#tabs}`
    const entry = `${origin}/entry.html?${new URLSearchParams({ name, to: path })}`
    // Without an opener it gets a process of its own, as a tab that a person opens does.
    await this.#desk.ask(
      String((url: string) => void window.open(url, '_blank', 'noopener')),
      entry,
    )
    const tab = new Tab(name, this)
    await tab.arrived()
    return tab
  }

  /** SIGKILL to every process of it at once. Idempotent. */
  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    const family = descendantsOf(child.pid!)
    killGroup(child)
    // Some of them lead groups of their own.
    for (const { pid } of family) signal(pid, 'SIGKILL')
    await gone
  }

  /** The process in which a page runs, found by making it work. */
  processOf(tab: Tab): Promise<number> {
    const spin = () => {
      const end = Date.now() + 400
      while (Date.now() < end);
    }
    return hardestAtWork(this.#child!.pid!, this.#recipe.pageProcess, () => tab.evaluate(spin))
  }

  takeTroubles(): string[] {
    return this.talkBack.troubles.splice(0)
  }

  /** The end of it, its profile and its pages. */
  async close(): Promise<void> {
    await this.kill()
    await this.pages.close()
    await rm(this.profileDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    const troubles = this.takeTroubles()
    if (troubles.length > 0) throw new Error(`errors in pages:\n${troubles.join('\n')}`)
  }

  get #desk() {
    const desk = this.talkBack.lines.get('desk')
    if (!desk?.isOpen) throw new Error(`${this.#recipe.name} does not run`)
    return desk
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) signal(-child.pid, 'SIGKILL')
}
