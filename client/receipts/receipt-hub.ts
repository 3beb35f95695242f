/**
 * Promises that a group has handled a record. All that wait for one group and partition share one question, which is asked
 * again for as long as somebody waits, over reconnects and over the end of a worker.
 */
import { type Clock, sleep, type Timer } from '../../protocol/lib/clock.ts'
import { abortError } from '../abort-error.ts'
import type { Core } from '../core.ts'
import { asOttlaError } from '../errors.ts'
import { groupError } from '../group/errors.ts'
import { type Fate, fateOf, type GivenUp, type GroupProgress, type ProgressQuery } from './progress.ts'

export interface ProcessedOptions {
  /** How long the group may take, counted from when the record is in the log. Default: for ever. */
  deadlineMs?: number
  signal?: AbortSignal
}

/** Where the record was, as errors call it. */
export interface AwaitedRecord extends ProgressQuery {
  topic: string
}

interface Waiter {
  record: AwaitedRecord
  settle(error: unknown): void
}

const ASK_MS = 30_000
const AFTER_FAILURE_MS = 1_000
/** Of what is longer, timers say at once that it is over. */
const TIMER_MS_MAX = 2 ** 31 - 1

export class ReceiptHub {
  readonly #core: Pick<Core, 'progress'>
  readonly #clock: Clock
  readonly #waiting = new Map<string, Set<Waiter>>()

  constructor(core: Pick<Core, 'progress'>, clock: Clock) {
    this.#core = core
    this.#clock = clock
  }

  /**
   * Resolves when the group has handled the record. Rejects DEAD_LETTERED, SKIPPED, PROCESSING_UNKNOWN, DEADLINE, ABORTED,
   * NOT_AUTHORIZED, UNSUPPORTED, CLOSED.
   */
  processed(record: AwaitedRecord, { deadlineMs, signal }: ProcessedOptions): Promise<void> {
    const { group, topicId, partition, topic, offset } = record
    const key = `${topicId}/${partition}/${group}`
    return new Promise((resolve, reject) => {
      const what = `record ${offset} of ${topic}-${partition}`
      let timer: Timer | undefined
      const expireIn = (waitMs: number) => {
        timer = this.#clock.setTimer(Math.min(waitMs, TIMER_MS_MAX), () => {
          if (waitMs > TIMER_MS_MAX) return expireIn(waitMs - TIMER_MS_MAX)
          const message = `group ${group} had not handled ${what} after ${deadlineMs} ms`
          waiter.settle(groupError('DEADLINE', { message }))
        })
      }
      if (deadlineMs !== undefined) expireIn(deadlineMs)
      const onAbort = () => waiter.settle(abortError(`waiting for group ${group}`, signal!))
      const waiter: Waiter = {
        record,
        settle: (error) => {
          timer?.cancel()
          signal?.removeEventListener('abort', onAbort)
          waiters.delete(waiter)
          if (error === undefined) resolve()
          else reject(error)
        },
      }
      const waiters = this.#waiting.get(key) ?? new Set<Waiter>()
      const isFirst = waiters.size === 0
      waiters.add(waiter)
      this.#waiting.set(key, waiters)
      if (signal?.aborted) return onAbort()
      signal?.addEventListener('abort', onAbort, { once: true })
      if (isFirst) void this.#ask(key, waiters)
    })
  }

  async #ask(key: string, waiters: Set<Waiter>): Promise<void> {
    while (waiters.size > 0) {
      const lowest = [...waiters].reduce((a, b) => (b.record.offset < a.record.offset ? b : a))
      const { group, topicId, partition, offset } = lowest.record
      try {
        const state = await this.#core.progress({ group, topicId, partition, offset }, ASK_MS)
        for (const waiter of [...waiters]) settleBy(waiter, state, offset)
      } catch (thrown) {
        const error = asOttlaError(thrown, 'PROTOCOL')
        if (error.retriable) await sleep(this.#clock, AFTER_FAILURE_MS)
        else for (const waiter of [...waiters]) waiter.settle(endError(waiter.record, error))
      }
    }
    if (this.#waiting.get(key) === waiters) this.#waiting.delete(key)
  }
}

/** An answer to a question about a higher offset says nothing of what was given up below. */
function settleBy(waiter: Waiter, state: GroupProgress, askedOffset: number): void {
  const { record } = waiter
  if (record.offset < askedOffset) return
  const fate = fateOf(record.offset, state)
  if (fate.is !== 'waiting') waiter.settle(errorOf(record, fate))
}

function errorOf(record: AwaitedRecord, fate: Fate): unknown {
  const { group, topic, partition, offset } = record
  const what = `record ${offset} of ${topic}-${partition}`
  if (fate.is === 'handled') return undefined
  if (fate.is === 'given-up') return givenUpError(group, what, fate.how)
  return groupError('PROCESSING_UNKNOWN', {
    message: `group ${group} went past ${what} without handling it as a member`,
  })
}

function givenUpError(group: string, what: string, { how, reason, place }: GivenUp): unknown {
  const at = place ? `; it is record ${place.offset} of ${place.topic}-${place.partition}` : ''
  return groupError(how === 'skipped' ? 'SKIPPED' : 'DEAD_LETTERED', {
    message: `group ${group} gave ${what} up: ${reason}${at}`,
    cause: { reason, place },
  })
}

/** With the topic goes what was known of its records. */
function endError({ group, topic }: AwaitedRecord, error: { code: string; message: string }): unknown {
  if (error.code !== 'TOPIC_RECREATED' && error.code !== 'UNKNOWN_TOPIC') return error
  return groupError('PROCESSING_UNKNOWN', { message: `${topic} was deleted before group ${group} came to the record` })
}
