/**
 * A coordinator in memory with Kafka's rules for transactions of version 2 (KIP-890): who may act, what an end changes, and
 * which offsets of a group count. What a transaction has written stands in the log as `open`, until its end.
 */
import { ErrorCode } from '../../../protocol/errors.ts'

interface Placed {
  values: string[]
  index: number
}

interface TransactionalState {
  producerId: number
  epoch: number
  /** undefined: none is open. */
  open: { placed: Placed[]; offsets: Array<{ key: string } & Committed> } | undefined
  lastEnd: { epoch: number; committed: boolean } | undefined
}

interface Committed {
  offset: number
  metadata: string
}

interface Stamp {
  transactionalId: string
  producerId: number
  producerEpoch: number
}

export class CoordinatorModel {
  commits = 0
  aborts = 0
  timeouts = 0
  readonly #states = new Map<string, TransactionalState>()
  /** By group, topic and partition. */
  readonly #committed = new Map<string, Committed>()

  init(transactionalId: string, newProducerId: () => number) {
    const state = this.#states.get(transactionalId)
    if (!state) {
      const fresh: TransactionalState = { producerId: newProducerId(), epoch: 0, open: undefined, lastEnd: undefined }
      this.#states.set(transactionalId, fresh)
      return { errorCode: 0, producerId: fresh.producerId, producerEpoch: 0 }
    }
    state.epoch++
    state.lastEnd = undefined
    if (state.open) {
      this.#finish(state, false)
      return { errorCode: ErrorCode.CONCURRENT_TRANSACTIONS, producerId: -1, producerEpoch: -1 }
    }
    return { errorCode: 0, producerId: state.producerId, producerEpoch: state.epoch }
  }

  /** An error code, or what notes a value as written. */
  join(stamp: Stamp): number | ((placed: Placed) => void) {
    const state = this.#states.get(stamp.transactionalId)
    if (!state || !isCurrent(state, stamp)) return ErrorCode.INVALID_PRODUCER_EPOCH
    return (placed) => this.#opened(state).placed.push(placed)
  }

  commitOffsets(stamp: Stamp, groupId: string, topics: OffsetTopics): number {
    const state = this.#states.get(stamp.transactionalId)
    if (!state || !isCurrent(state, stamp)) return ErrorCode.INVALID_PRODUCER_EPOCH
    for (const { name, partitions } of topics) {
      for (const { partitionIndex, committedOffset, committedMetadata } of partitions) {
        const key = `${groupId}/${name}/${partitionIndex}`
        this.#opened(state).offsets.push({ key, offset: committedOffset, metadata: committedMetadata ?? '' })
      }
    }
    return 0
  }

  end({ committed, ...stamp }: Stamp & { committed: boolean }) {
    const state = this.#states.get(stamp.transactionalId)
    const refused = (errorCode: number) => ({ errorCode, producerId: -1, producerEpoch: -1 })
    if (!state) return refused(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    const ended = () => ({ errorCode: 0, producerId: state.producerId, producerEpoch: state.epoch })
    if (state.lastEnd?.epoch === stamp.producerEpoch && state.epoch === stamp.producerEpoch + 1) {
      return state.lastEnd.committed === committed ? ended() : refused(ErrorCode.INVALID_TXN_STATE)
    }
    if (!isCurrent(state, stamp)) return refused(ErrorCode.PRODUCER_FENCED)
    if (!state.open && committed) return refused(ErrorCode.INVALID_TXN_STATE)
    this.#finish(state, committed)
    state.lastEnd = { epoch: state.epoch, committed }
    state.epoch++
    return ended()
  }

  fetch(groupId: string, topics: ReadonlyArray<{ name: string; partitionIndexes: number[] }>) {
    const pending = new Set([...this.#states.values()].flatMap(({ open }) => open?.offsets.map(({ key }) => key) ?? []))
    return topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => {
        const key = `${groupId}/${name}/${partitionIndex}`
        const { offset, metadata } = this.#committed.get(key) ?? { offset: -1, metadata: '' }
        const errorCode = pending.has(key) ? ErrorCode.UNSTABLE_OFFSET_COMMIT : 0
        return { partitionIndex, errorCode, committedOffset: offset, metadata }
      }),
    }))
  }

  /** The time of whatever is open is up. */
  expire(): void {
    for (const state of this.#states.values()) {
      if (!state.open) continue
      this.timeouts++
      this.#finish(state, false)
      state.epoch++
      state.lastEnd = undefined
    }
  }

  /** Offsets that nobody has committed for a long time, or those of a topic that went. */
  forgetOffsets(topic?: string): void {
    for (const key of this.#committed.keys()) {
      if (topic === undefined || key.split('/').at(-2) === topic) this.#committed.delete(key)
    }
  }

  /** Ids that nobody has used for a long time. */
  forgetIds(): void {
    this.#states.clear()
  }

  #opened(state: TransactionalState) {
    state.lastEnd = undefined
    state.open ??= { placed: [], offsets: [] }
    return state.open
  }

  #finish(state: TransactionalState, committed: boolean): void {
    const { placed, offsets } = state.open ?? { placed: [], offsets: [] }
    for (const { values, index } of placed) {
      values[index] = committed ? values[index]!.replace('open ', '') : values[index]!.replace('open', 'aborted')
    }
    if (committed) for (const { key, ...each } of offsets) this.#committed.set(key, each)
    if (committed) this.commits++
    else this.aborts++
    state.open = undefined
  }
}

type OffsetTopics = ReadonlyArray<{
  name: string
  partitions: ReadonlyArray<{ partitionIndex: number; committedOffset: number; committedMetadata: string | null }>
}>

const isCurrent = (state: TransactionalState, { producerId, producerEpoch }: Stamp) =>
  state.producerId === producerId && state.epoch === producerEpoch
