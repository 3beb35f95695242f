/**
 * A connection has one subscription for each partition, by protocol; an application may read a partition twice. So a
 * reader takes the first session that has room for it, and another is opened when none has.
 *
 * Invariant: the main session is never closed here; the others live as long as the client and are used again.
 */
import type { TopicInfo } from '../core.ts'
import { OttlaError } from '../errors.ts'
import type { Session } from '../session.ts'

/** Sessions opened beside the main one. More than this many readers of one partition are a mistake. */
export const EXTRA_LANES_MAX = 16

export class Lanes {
  readonly main: Session
  readonly #openAnother: (heartbeatMs?: number) => Session
  #extra: Session[] = []

  /** `openAnother` opens one that is heard from every `heartbeatMs`, as far as the relay agrees. */
  constructor(main: Session, openAnother: (heartbeatMs?: number) => Session) {
    this.main = main
    this.#openAnother = openAnother
  }

  /** Throws INVALID_ARGUMENT when EXTRA_LANES_MAX sessions are taken. */
  find(topic: TopicInfo, partitions: readonly number[] | undefined): Session {
    this.#extra = this.#extra.filter(({ state }) => state.phase !== 'closed')
    const wanted = partitions ?? Array.from({ length: topic.partitionCount }, (_, partition) => partition)
    const isFree = (session: Session) => !wanted.some((partition) => session.isSubscribed(topic.id, partition))
    const free = [this.main, ...this.#extra].find(isFree)
    if (free) return free
    if (this.#extra.length >= EXTRA_LANES_MAX) {
      throw new OttlaError('INVALID_ARGUMENT', {
        message: `${EXTRA_LANES_MAX + 1} readers of ${topic.name} are open`,
        hint: 'close readers that are no longer used',
      })
    }
    const opened = this.#openAnother()
    this.#extra.push(opened)
    return opened
  }

  /** A session that nobody else gets, for who asks what the relay may be long in answering. The caller closes it. */
  ownSession(heartbeatMs: number): Session {
    return this.#openAnother(heartbeatMs)
  }

  async close(): Promise<void> {
    await Promise.all(this.#extra.map((session) => session.close()))
    this.#extra = []
  }
}
