/**
 * A real Chromium for tests: its own profile folder, started as a process of ours so that it can be killed with
 * SIGKILL as a whole (browser, renderers, workers) and started again on the same profile.
 *
 * Invariants: only processes started here are ever killed; a page's uncaught errors and console errors are collected
 * and `close()` fails on them unless the test took them with `takeErrors()`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { Devtools } from './devtools.ts'

const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--no-default-browser-check',
  '--remote-debugging-port=0',
]
const START_MS_MAX = 20_000
const STDERR_CHARS_MAX = 8_000

export interface ChromiumOptions {
  /** Reuse this profile; without it a new one is made and removed on `close()`. */
  profileDir?: string
  flags?: string[]
  /** Console errors that match are not counted as failures (a refused connection logs one by itself). */
  ignoreErrors?: RegExp[]
}

/** Chrome logs these for every refused WebSocket or fetch; a test that cuts the net expects them. */
const NETWORK_NOISE = [/WebSocket connection to .* failed/, /Failed to load resource/, /net::ERR_/]

export class Chromium {
  readonly profileDir: string
  readonly devtools: Devtools
  readonly browser: Browser
  private readonly child: ChildProcess
  private readonly ownsProfile: boolean
  private readonly ignored: RegExp[]
  private errors: string[] = []
  private watched = new WeakSet<Page>()

  constructor(parts: {
    child: ChildProcess
    browser: Browser
    devtools: Devtools
    profileDir: string
    ownsProfile: boolean
    ignored: RegExp[]
  }) {
    this.child = parts.child
    this.browser = parts.browser
    this.devtools = parts.devtools
    this.profileDir = parts.profileDir
    this.ownsProfile = parts.ownsProfile
    this.ignored = parts.ignored
  }

  /** Opens a tab on `url` and watches its errors. */
  async open(url: string): Promise<Page> {
    const context = this.browser.contexts()[0]
    if (!context) throw new Error('Chromium has no default context')
    const page = await context.newPage()
    this.watch(page)
    await page.goto(url, { waitUntil: 'load' })
    return page
  }

  /** Errors so far, which then no longer fail `close()`. */
  takeErrors(): string[] {
    const taken = this.errors
    this.errors = []
    return taken
  }

  /** SIGKILL to every process of this browser. The profile stays. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = once(this.child, 'exit')
    killGroup(this.child)
    await gone
  }

  /** Kills one tab's renderer process; every page and worker in that process dies with it. */
  async crash(page: Page): Promise<void> {
    const session = await page.context().newCDPSession(page)
    const crashed = page.waitForEvent('crash', { timeout: 5_000 })
    // The reply never comes: the process that would send it is gone.
    session.send('Page.crash').catch(() => {})
    await crashed
  }

  /** Ends the browser, removes a profile of its own, and throws when a page had an error. */
  async close(): Promise<void> {
    await this.kill()
    if (this.ownsProfile) await rm(this.profileDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
    const errors = this.takeErrors()
    if (errors.length > 0) throw new Error(`errors in pages:\n${errors.join('\n')}`)
  }

  private watch(page: Page): void {
    if (this.watched.has(page)) return
    this.watched.add(page)
    page.on('pageerror', (error) => this.note(`${page.url()}: ${error.stack ?? error.message}`))
    page.on('console', (message) => {
      if (message.type() === 'error') this.note(`${page.url()}: console: ${message.text()}`)
    })
  }

  private note(text: string): void {
    if (!this.ignored.some((pattern) => pattern.test(text))) this.errors.push(text)
  }
}

/** Starts Debian's Chromium (or `CHROMIUM_PATH`) and connects to it. */
export async function startChromium(options: ChromiumOptions = {}): Promise<Chromium> {
  const profileDir = options.profileDir ?? (await mkdtemp(join(tmpdir(), 'ottla-chromium-')))
  const executable = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
  const child = spawn(
    executable,
    [...FLAGS, ...(options.flags ?? []), `--user-data-dir=${profileDir}`, 'about:blank'],
    {
      // A group of its own, so that one signal reaches the zygote and the renderers too.
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      // What one that is killed leaves lying goes with its profile.
      env: { ...process.env, TMPDIR: profileDir },
    },
  )
  const killWithUs = () => killGroup(child)
  process.once('exit', killWithUs)
  child.once('exit', () => process.off('exit', killWithUs))
  try {
    const port = await debuggingPort(child, executable)
    const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { timeout: START_MS_MAX })
    return new Chromium({
      child,
      browser,
      devtools: new Devtools(port),
      profileDir,
      ownsProfile: options.profileDir === undefined,
      ignored: [...NETWORK_NOISE, ...(options.ignoreErrors ?? [])],
    })
  } catch (error) {
    killGroup(child)
    throw error
  }
}

/** Chromium writes the port it chose to standard error. */
function debuggingPort(child: ChildProcess, executable: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let log = ''
    const fail = (why: string) => reject(new Error(`${executable} ${why}\n${log}`))
    const timer = setTimeout(() => fail(`opened no debugging port within ${START_MS_MAX} ms`), START_MS_MAX)
    child.once('error', (error) => fail(`did not start: ${error.message}`))
    child.once('exit', (code, signal) => fail(`ended early (code ${code}, signal ${signal})`))
    child.stderr?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-STDERR_CHARS_MAX)
      const found = /DevTools listening on ws:\/\/[^:]+:(\d+)\//.exec(log)
      if (!found) return
      clearTimeout(timer)
      resolve(Number(found[1]))
    })
  })
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // ESRCH: the group ended between the check and the signal.
  }
}
