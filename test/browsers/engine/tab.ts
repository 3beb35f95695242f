/** One tab of a browser of any engine. */
import { eventually } from '../../support/eventually.ts'
import type { Browser } from './browser.ts'
import { signal } from './process-tree.ts'
import type { Line } from './talk-back.ts'

const LOAD_MS_MAX = 30_000

export class Tab {
  readonly name: string
  readonly #browser: Browser
  #process: number | undefined

  constructor(name: string, browser: Browser) {
    this.name = name
    this.#browser = browser
  }

  get isOpen(): boolean {
    return this.#browser.talkBack.lines.get(this.name)?.isOpen ?? false
  }

  /** Runs in the page; both ways by JSON. Closes over nothing. Rejects when the page goes. */
  async evaluate<R>(act: () => R): Promise<Awaited<R>>
  async evaluate<A, R>(act: (argument: A) => R, argument: A): Promise<Awaited<R>>
  async evaluate<A, R>(act: (argument: A) => R, argument?: A): Promise<Awaited<R>> {
    return (await this.#line.ask(String(act), argument)) as Awaited<R>
  }

  /** Until a page in it holds true. */
  until(act: () => unknown, withinMs = 15_000): Promise<unknown> {
    return eventually(() => this.evaluate(act), { withinMs, what: `in ${this.name}: ${act}` })
  }

  reload(): Promise<void> {
    return this.#leaveBy(() => location.reload())
  }

  /** To a page of the same server. */
  goto(path: string): Promise<void> {
    return this.#leaveBy((to: string) => {
      location.href = to
    }, path)
  }

  back(): Promise<void> {
    return this.#leaveBy(() => history.back())
  }

  /** As a person closes it. */
  async close(): Promise<void> {
    const line = this.#line
    await this.evaluate(() => void setTimeout(() => window.close()))
    await eventually(() => !line.isOpen, { what: `${this.name} closes` })
  }

  /** Its process is gone at once, and with it its workers. */
  async crash(): Promise<void> {
    const line = this.#line
    signal(await this.#pid(), 'SIGKILL')
    await eventually(() => !line.isOpen, { what: `${this.name} crashes` })
  }

  /** Until the first page that talks back stands. */
  async arrived(before?: Line): Promise<void> {
    const isThere = () => {
      const line = this.#browser.talkBack.lines.get(this.name)
      return line?.isOpen && line !== before
    }
    await eventually(isThere, { withinMs: LOAD_MS_MAX, what: `${this.name} has loaded` })
  }

  async #pid(): Promise<number> {
    this.#process ??= await this.#browser.processOf(this)
    return this.#process
  }

  /** Finds its process out, best while other tabs rest, so that `crash` is at once. */
  async findProcess(): Promise<void> {
    this.#process = await this.#browser.processOf(this)
  }

  async #leaveBy<A>(act: (argument: A) => void, argument?: A): Promise<void> {
    const before = this.#line
    before.leave(String(act), argument)
    await this.arrived(before)
  }

  get #line(): Line {
    const line = this.#browser.talkBack.lines.get(this.name)
    if (!line) throw new Error(`${this.name} is not there`)
    return line
  }
}
