/**
 * How every admin call is made: each entry is asked for where it must be asked, again while only time is needed, until
 * the call's time is over. What a call says and how its answer reads stands in the families beside this file.
 *
 *     entries --locate--> by broker --ask--> finished or failed
 *        ^                                      |
 *        +--- pause <--- somebody else leads, coordinates or controls by now, or is not ready
 *
 * Invariants: a call ends with its time or its signal, whatever the broker does; a change is not repeated after a lost
 * connection, since it may have been made.
 */

import type { RequestInputOf, ResponseOf } from '../../protocol/api.ts'
import { type Clock, sleep } from '../../protocol/lib/clock.ts'
import { abortError } from '../abort-error.ts'
import type { Core } from '../core.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import type { ApiName, RELAY_APIS } from '../relay-apis.ts'
import type { BrokerAddress } from '../transport/kafka-url.ts'
import { Brokers, type Where } from './brokers.ts'
import { adminFailure, type Outcome, type PerEntry, perEntry } from './outcomes.ts'

export interface AdminOptions {
  /** For the whole call, repeats included. Default 30 s. */
  timeoutMs?: number
  signal?: AbortSignal
}

type Apis = typeof RELAY_APIS
export type Body<N extends ApiName> = RequestInputOf<Apis[N]>
export type Answer<N extends ApiName> = ResponseOf<Apis[N]>

/** One request. `isChange`: it must not be made twice. */
export type Ask = <N extends ApiName>(name: N, body: Body<N>) => Promise<Answer<N>>

/** What a broker said about one entry. */
export type Verdict<V> = { value: V } | { errorCode: number; errorMessage?: string | null } | { error: OttlaError }

export interface Question<E, V> {
  entries: readonly E[]
  /** Whom to ask about an entry. Default: whoever is connected. */
  where?(entry: E): Where
  /** One request about entries that one broker knows about; verdicts in their order. Thrown errors are each entry's. */
  ask(entries: E[], ask: Ask): Promise<Array<Verdict<V>>>
  /** For error messages: "creating topic a". */
  doing(entry: E): string
  isChange?: boolean
}

const TIMEOUT_MS = 30_000
/** The broker's own time is up a little earlier than ours, so that it can say so. */
const SLACK_MS = 1_000
const PAUSE_MS_FIRST = 50
const PAUSE_MS_MAX = 1_000
/** Leader, coordinator or controller is elsewhere or not ready, offsets wait for a transaction, a quota for patience. */
const ASK_AGAIN: ReadonlySet<number> = new Set([5, 6, 14, 15, 16, 41, 74, 75, 88, 89])

export class AdminDriver {
  readonly #core: Pick<Core, 'request'>
  readonly #clock: Clock
  readonly #brokers: Brokers
  /** Until when a broker wants not to be asked, by its address; '' is the connection's own. */
  readonly #quietUntil = new Map<string, number>()

  constructor(core: Pick<Core, 'request'>, clock: Clock) {
    this.#core = core
    this.#clock = clock
    this.#brokers = new Brokers(clock)
  }

  run(options: AdminOptions = {}): AdminRun {
    const { timeoutMs = TIMEOUT_MS, signal } = options
    return new AdminRun(this, this.#clock, this.#brokers, timeoutMs, signal)
  }

  async request<N extends ApiName>(name: N, body: Body<N>, options: RequestOptions): Promise<Answer<N>> {
    const { broker, timeoutMs, isChange, signal } = options
    const key = broker ? `${broker.host}:${broker.port}` : ''
    const quietMs = (this.#quietUntil.get(key) ?? 0) - this.#clock.monotonic()
    if (quietMs > 0) await sleep(this.#clock, Math.min(quietMs, timeoutMs), signal)
    const asked = this.#core.request(name, body, { timeoutMs: timeoutMs + SLACK_MS, broker, isChange })
    const answer = (await untilAborted(asked, signal, name)) as Answer<N> & { throttleTimeMs?: number }
    if (answer.throttleTimeMs) this.#quietUntil.set(key, this.#clock.monotonic() + answer.throttleTimeMs)
    return answer
  }
}

interface RequestOptions {
  broker: BrokerAddress | undefined
  timeoutMs: number
  isChange: boolean
  signal: AbortSignal | undefined
}

/** One call of an application, with its time and its signal. */
export class AdminRun {
  readonly #driver: AdminDriver
  readonly #clock: Clock
  readonly #brokers: Brokers
  readonly #deadline: number
  readonly #signal: AbortSignal | undefined

  constructor(driver: AdminDriver, clock: Clock, brokers: Brokers, timeoutMs: number, signal: AbortSignal | undefined) {
    this.#driver = driver
    this.#clock = clock
    this.#brokers = brokers
    this.#deadline = clock.monotonic() + timeoutMs
    this.#signal = signal
  }

  /** What is left of the call's time; what brokers are told they may take. */
  get leftMs(): number {
    return Math.max(1, Math.round(this.#deadline - this.#clock.monotonic()))
  }

  /** Wall clock, in milliseconds. */
  get nowMs(): number {
    return this.#clock.now()
  }

  /** Asks whoever is connected. */
  readonly ask: Ask = (name, body) => this.#request(name, body, undefined, false)

  each<E, V>(question: Question<E, V>): PerEntry<E, V> {
    return perEntry(this.#settleAll(question))
  }

  /** A question that has one answer. */
  async one<V>(where: Where, doing: string, ask: (ask: Ask) => Promise<Verdict<V>>, isChange = false): Promise<V> {
    const question = { entries: [where], where: () => where, doing: () => doing, isChange }
    const [value] = await this.each({ ...question, ask: async (_entries, asks) => [await ask(asks)] })
    return value as V
  }

  /** The same question to every broker, or to those named. */
  async everyBroker<V>(
    doing: string,
    ask: (ask: Ask, brokerId: number) => Promise<Verdict<V>>,
    brokerIds?: readonly number[],
  ): Promise<V[]> {
    const entries = brokerIds ?? (await this.#brokers.ids(this.ask))
    return this.each<number, V>({
      entries,
      where: (broker) => ({ broker }),
      doing: (broker) => `${doing} of broker ${broker}`,
      ask: async (asked, asks) => Promise.all(asked.map((broker) => ask(asks, broker))),
    })
  }

  async #settleAll<E, V>(question: Question<E, V>): Promise<Array<Outcome<E, V>>> {
    const { entries } = question
    const verdicts: Array<Verdict<V> | undefined> = entries.map(() => undefined)
    let pauseMs = PAUSE_MS_FIRST
    for (;;) {
      const open = [...verdicts.keys()].filter((index) => isOpen(verdicts[index]))
      if (open.length === 0) break
      await this.#askAbout(question, open, verdicts, pauseMs > PAUSE_MS_FIRST)
      const again = open.filter((index) => isOpen(verdicts[index]))
      if (again.length === 0 || this.#clock.monotonic() + pauseMs >= this.#deadline) break
      this.#brokers.forget()
      await this.#pause(pauseMs)
      pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2)
    }
    return entries.map((entry, index) => outcomeOf(entry, verdicts[index]!, question))
  }

  async #askAbout<E, V>(
    question: Question<E, V>,
    open: readonly number[],
    verdicts: Array<Verdict<V> | undefined>,
    isRepeat: boolean,
  ): Promise<void> {
    const { entries, where = () => 'any' as const, isChange = false } = question
    const places = await this.#brokers.locate(
      open.map((index) => where(entries[index]!)),
      this.ask,
      isRepeat,
    )
    const groups = new Map<BrokerAddress | undefined, number[]>()
    for (const [at, index] of open.entries()) {
      const place = places[at]!
      if ('unknown' in place) verdicts[index] = place.unknown
      else groups.set(place.broker, [...(groups.get(place.broker) ?? []), index])
    }
    await Promise.all(
      [...groups].map(async ([broker, indexes]) => {
        const ask: Ask = (name, body) => this.#request(name, body, broker, isChange)
        const asked = question.ask(
          indexes.map((index) => entries[index]!),
          ask,
        )
        const answers = await asked.catch((failure: unknown) => {
          const error = asOttlaError(failure, 'PROTOCOL')
          const mayRepeat = broker !== undefined && error.code === 'DISCONNECTED' && !isChange
          return indexes.map((): Verdict<V> => (mayRepeat ? { errorCode: COORDINATOR_NOT_AVAILABLE } : { error }))
        })
        for (const [at, index] of indexes.entries()) verdicts[index] = answers[at] ?? leftOut()
      }),
    )
  }

  #request<N extends ApiName>(name: N, body: Body<N>, broker: BrokerAddress | undefined, isChange: boolean) {
    const signal = this.#signal
    if (signal?.aborted) return Promise.reject(abortError(name, signal))
    return this.#driver.request(name, body, { broker, timeoutMs: this.leftMs, isChange, signal })
  }

  async #pause(pauseMs: number): Promise<void> {
    await untilAborted(sleep(this.#clock, pauseMs, this.#signal), this.#signal, 'waiting')
  }
}

const COORDINATOR_NOT_AVAILABLE = 15

const isOpen = (verdict: Verdict<unknown> | undefined): boolean =>
  verdict === undefined || ('errorCode' in verdict && ASK_AGAIN.has(verdict.errorCode))

function outcomeOf<E, V>(entry: E, verdict: Verdict<V>, { doing }: Question<E, V>): Outcome<E, V> {
  if ('value' in verdict) return { entry, value: verdict.value }
  if ('error' in verdict) return { entry, error: verdict.error }
  if (verdict.errorCode === 0) throw new TypeError('error code 0 is no failure')
  return { entry, error: adminFailure(verdict.errorCode, doing(entry), verdict.errorMessage) }
}

function leftOut(): { error: OttlaError } {
  return { error: new OttlaError('PROTOCOL', { message: 'the broker left an entry out of its answer' }) }
}

/** The answer, if it comes before the signal; what comes later is nobody's. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined, what: string): Promise<T> {
  if (!signal) return work
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortError(what, signal))
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

interface Answered {
  errorCode: number
  errorMessage?: string | null
}

/** A verdict by its error code; `value` is asked only where there is none. Undefined: the answer leaves the entry out. */
export function verdict<A extends Answered, V>(answer: A | undefined, value: (answer: A) => V): Verdict<V> {
  if (!answer) return leftOut()
  const { errorCode, errorMessage } = answer
  return errorCode === 0 ? { value: value(answer) } : { errorCode, errorMessage }
}
