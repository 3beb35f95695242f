/**
 * Asks the relay how groups come on, for as long as somebody waits: one watch for each group and partition, whoever asks
 * and however often; made again after each reconnect.
 *
 * Invariant: what is known is what the relay said on this connection, so nothing is taken for handled that it no longer
 * says.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import { type FailedRange, type Progress, unwatchProgress, watchProgress } from '../../protocol/messages/receipts.ts'
import { OttlaError } from '../errors.ts'
import { isTransient, kafkaFailure } from '../kafka-failure.ts'
import type { Session } from '../session.ts'
import { fateOf, type GivenUp, type GroupProgress, type ProgressQuery } from './progress.ts'

interface Asker {
  offset: number
  settle(progress: GroupProgress): void
  fail(error: unknown): void
}

interface Watch {
  groupId: string
  topicId: string
  partition: number
  state: GroupProgress
  /** What was given up below this offset is not part of the state, as nobody had asked for it. */
  from: number
  askers: Set<Asker>
}

const NOTHING: GroupProgress = { committed: -1, knownFrom: -1, givenUp: [] }
const POLICY_VIOLATION = 44
/** After a relay that is not ready, or watches too much already. */
const AGAIN_MS = 1_000

export class ProgressWatcher {
  readonly #session: Session
  readonly #clock: Clock
  readonly #watches = new Map<string, Watch>()
  readonly #unlisten: Array<() => void>

  constructor(session: Session, clock: Clock) {
    this.#session = session
    this.#clock = clock
    this.#unlisten = [
      session.onProgress((news) => this.#heard(news)),
      session.onState(({ phase }) => {
        if (phase === 'live') this.#ask([...this.#watches.values()])
        if (phase === 'closed') this.#failAll('the connection is closed for good')
      }),
    ]
  }

  /** Resolves when the record's fate is decided, or with how things stand after `waitMs`. */
  progress({ group, topicId, partition, offset }: ProgressQuery, waitMs: number): Promise<GroupProgress> {
    const key = keyOf({ groupId: group, topicId, partition })
    const known = this.#watches.get(key)
    const fresh = { groupId: group, topicId, partition, state: NOTHING, from: Number.POSITIVE_INFINITY }
    const watch = known ?? { ...fresh, askers: new Set<Asker>() }
    this.#watches.set(key, watch)
    return new Promise((resolve, reject) => {
      const done = (settle: () => void) => {
        timer.cancel()
        watch.askers.delete(asker)
        if (watch.askers.size === 0) this.#end(watch)
        settle()
      }
      const asker: Asker = {
        offset,
        settle: (state) => done(() => resolve(state)),
        fail: (error) => done(() => reject(error)),
      }
      const timer = this.#clock.setTimer(waitMs, () => asker.settle(offset < watch.from ? NOTHING : watch.state))
      watch.askers.add(asker)
      // The lower of two offsets must see what was given up below the other's.
      if (this.#session.state.phase === 'live') this.#ask([watch])
    })
  }

  close(): void {
    for (const unlisten of this.#unlisten) unlisten()
    this.#failAll('this client was closed')
  }

  #failAll(message: string): void {
    const error = new OttlaError('CLOSED', { message })
    for (const watch of [...this.#watches.values()]) for (const asker of [...watch.askers]) asker.fail(error)
  }

  #ask(watches: readonly Watch[]): void {
    if (watches.length === 0) return
    const asked = watches.map(({ groupId, topicId, partition, askers }) => ({
      ...{ groupId, topicId, partition },
      fromOffset: Math.min(...[...askers].map(({ offset }) => offset)),
    }))
    this.#session.call(watchProgress, { watches: asked }).then(
      ({ watches: answers }) => {
        const fromOffsets = new Map(asked.map((each) => [keyOf(each), each.fromOffset]))
        for (const answer of answers) this.#answered(answer, fromOffsets.get(keyOf(answer)))
      },
      (error: unknown) => {
        // A connection that ended is asked again when there is another.
        if (error instanceof OttlaError && error.retriable) return
        for (const watch of watches) for (const asker of [...watch.askers]) asker.fail(error)
      },
    )
  }

  #answered(answer: Progress, from: number | undefined): void {
    const watch = this.#watches.get(keyOf(answer))
    if (!watch || from === undefined) return
    if (answer.errorCode !== 0) return this.#refused(watch, answer.errorCode)
    const { committed, knownFrom, failed } = answer
    watch.state = { committed, knownFrom, givenUp: failed.map(givenUpOf) }
    watch.from = from
    this.#settle(watch)
  }

  #heard(news: Progress): void {
    const watch = this.#watches.get(keyOf(news))
    if (!watch) return
    if (news.errorCode !== 0) return this.#refused(watch, news.errorCode)
    const { state } = watch
    watch.state = {
      committed: news.committed < 0 ? state.committed : news.committed,
      knownFrom: news.knownFrom < 0 ? state.knownFrom : news.knownFrom,
      givenUp: [...state.givenUp, ...news.failed.map(givenUpOf)],
    }
    this.#settle(watch)
  }

  #refused(watch: Watch, errorCode: number): void {
    if (isTransient(errorCode) || errorCode === POLICY_VIOLATION) {
      this.#clock.setTimer(AGAIN_MS, () => {
        if (this.#watches.get(keyOf(watch)) === watch && this.#session.state.phase === 'live') this.#ask([watch])
      })
      return
    }
    const error = kafkaFailure(errorCode, `watching group ${watch.groupId}`)
    for (const asker of [...watch.askers]) asker.fail(error)
  }

  #settle(watch: Watch): void {
    for (const asker of [...watch.askers]) {
      if (asker.offset >= watch.from && fateOf(asker.offset, watch.state).is !== 'waiting') asker.settle(watch.state)
    }
  }

  #end(watch: Watch): void {
    if (this.#watches.get(keyOf(watch)) !== watch) return
    this.#watches.delete(keyOf(watch))
    const { groupId, topicId, partition } = watch
    this.#session.call(unwatchProgress, { watches: [{ groupId, topicId, partition }] }).catch(() => {})
  }
}

const keyOf = ({ groupId, topicId, partition }: { groupId: string; topicId: string; partition: number }) =>
  `${topicId}/${partition}/${groupId}`

function givenUpOf({ from, to, how, reason, deadTopic, deadPartition, deadOffset }: FailedRange): GivenUp {
  return {
    ...{ from, to, reason, how: how === 0 ? 'dead-lettered' : 'skipped' },
    place: deadPartition < 0 ? null : { topic: deadTopic, partition: deadPartition, offset: deadOffset },
  }
}
