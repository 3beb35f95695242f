/**
 * One partition's synchronisation as a pure step: what is held, what is on its way, what the relay said, and what must
 * be done next. Touches no clock, socket or database; replica.ts carries the effects out.
 *
 *   waiting --started--> following --ended--> changing (cut, reset) --changed--> waiting
 *      ^                    |    \--ended: 100--> gone --topic looked up--> (another state, or dropped)
 *      +---disconnected-----+     \--ended: no right--> refused --next connection--> waiting
 *
 * Invariants: `position` is what the store holds, `nextOffset` what was received and may still wait to be stored;
 * position.nextOffset <= nextOffset. Credit goes back when bytes are stored, never when they arrive. "Up to date" needs a
 * live subscription and everything stored up to the relay's end. What was told to readers is only taken back with a
 * higher generation.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import type { ReplicaPolicy } from '../core.ts'
import type { StoredPosition } from './store.ts'

export type SyncPhase = 'waiting' | 'following' | 'changing' | 'gone' | 'refused'

export interface SyncState {
  phase: SyncPhase
  policy: ReplicaPolicy
  position: StoredPosition
  /** Nothing is held and nothing was: begin where this stands for. */
  from: 'start' | 'end' | null
  nextOffset: number
  leaderEpoch: number
  /** The end of what is decided at the relay when last heard of, and so of what can be had of it; -1 when never. */
  relayEnd: number
}

export type SyncEvent =
  /** `takenIn`: how far the topic's table has come; default: it has none. */
  | { type: 'started'; startOffset: number; logStart: number; relayEnd: number; takenIn?: number }
  | {
      type: 'delivered'
      nextOffset: number
      /** Of the last batch; null when there was none. */
      leaderEpoch: number | null
      logStart: number
      relayEnd: number
      sizeBytes: number
    }
  /** The frame's bytes do not match their checksums. Nothing more is taken until the subscription begins again. */
  | { type: 'damaged' }
  | { type: 'stored'; position: StoredPosition; sizeBytes: number }
  /** What was received and not stored is lost to us, or a cut was not made: the next subscription tells anew. */
  | { type: 'store-failed' }
  | { type: 'ended'; errorCode: number; logStart: number; truncateTo: number; retryInMs: number | null }
  /** A cut or reset is in the store. */
  | { type: 'changed'; position: StoredPosition }
  /** Chunks were merged, or the oldest dropped; nothing that a reader still has is invalid. */
  | { type: 'tidied'; position: StoredPosition }
  | { type: 'disconnected' }
  | { type: 'connected' }

export type SyncEffect =
  /** Subscribe again at `wantedOffset`. */
  | { type: 'restart' }
  | { type: 'grant'; sizeBytes: number }
  /** Put the frame in line to be stored. */
  | { type: 'store' }
  /** Forget frames that wait to be stored: they belong to a log that is no more. */
  | { type: 'forget-queued' }
  /** Drop what is stored from `offset` on, if anything is; then 'changed'. */
  | { type: 'cut'; offset: number }
  /**
   * Drop everything, go on at `offset`; then 'changed'. `logStart`: what the relay says, which may lie below. `isOtherLog`: what
   * was told before is not valid any more.
   */
  | { type: 'reset'; offset: number; logStart: number; isOtherLog: boolean }
  | { type: 'look-up-topic' }
  | { type: 'tell' }
  | { type: 'refused'; errorCode: number }

export interface SyncStep {
  state: SyncState
  effects: SyncEffect[]
}

export function initialSync(position: StoredPosition | null, empty: StoredPosition, policy: ReplicaPolicy): SyncState {
  const beginsAtEnd = policy.from === 'end' || (policy.from === undefined && policy.lastRecords !== undefined)
  const held = position ?? empty
  return {
    phase: 'waiting',
    policy,
    position: held,
    from: position ? null : beginsAtEnd ? 'end' : 'start',
    nextOffset: held.nextOffset,
    leaderEpoch: held.leaderEpoch,
    relayEnd: -1,
  }
}

export function isUpToDate({ phase, from, position, relayEnd }: SyncState): boolean {
  return phase === 'following' && from === null && relayEnd >= 0 && position.nextOffset >= relayEnd
}

export function step(state: SyncState, event: SyncEvent): SyncStep {
  switch (event.type) {
    case 'started':
      return started(state, event)
    case 'delivered':
      return delivered(state, event)
    case 'stored':
      return stored(state, event)
    case 'damaged':
      return state.phase === 'following' ? go({ ...state, phase: 'waiting' }) : go(state)
    case 'store-failed':
      return storeFailed(state)
    case 'ended':
      return ended(state, event)
    case 'changed':
      return changed(state, event.position)
    case 'tidied':
      return tidied(state, event.position)
    case 'disconnected':
      return state.phase === 'following' ? go({ ...state, phase: 'waiting' }, 'tell') : go(state)
    case 'connected':
      return state.phase === 'refused' ? go({ ...state, phase: 'waiting' }, 'restart') : go(state)
  }
}

type Started = Extract<SyncEvent, { type: 'started' }>

function started(
  state: SyncState,
  { startOffset, logStart, relayEnd, takenIn = Number.POSITIVE_INFINITY }: Started,
): SyncStep {
  if (state.phase === 'changing' || state.phase === 'gone') return go(state)
  const wanted = wantedStart(state, logStart, relayEnd)
  const next: SyncState = { ...state, phase: 'following', relayEnd }
  if (state.from !== null) {
    const offset = wanted ?? startOffset
    const position = { ...state.position, start: offset, nextOffset: offset, mergedUpTo: offset, logStart }
    const begun = { ...next, from: null, position, nextOffset: offset }
    return offset === startOffset ? go(begun, 'tell') : go({ ...begun, phase: 'waiting' }, 'restart')
  }
  // Asked for before storing failed, from where that would have led: what lies between would never come.
  if (startOffset !== state.nextOffset) return go({ ...next, phase: 'waiting' }, 'restart')
  // Far behind, and the policy would throw away at once what is missing: go straight to what it keeps. Unless a table has to
  // take it in first; it would begin again from the log's start, and be thrown back again.
  if (wanted !== null && wanted > state.nextOffset && wanted <= takenIn)
    return reset(next, { offset: wanted, logStart, isOtherLog: false })
  return go(next, 'tell')
}

/** Where the newest `lastRecords` begin; null when the policy names no number. */
function wantedStart({ policy }: SyncState, logStart: number, relayEnd: number): number | null {
  if (policy.lastRecords === undefined || policy.from === 'end') return null
  return Math.max(logStart, relayEnd - policy.lastRecords)
}

type Delivered = Extract<SyncEvent, { type: 'delivered' }>

function delivered(state: SyncState, event: Delivered): SyncStep {
  if (state.phase !== 'following') return go(state)
  const { nextOffset, leaderEpoch, logStart, relayEnd } = event
  const isNews = nextOffset > state.nextOffset || logStart !== state.position.logStart
  const next: SyncState = {
    ...state,
    relayEnd,
    nextOffset: Math.max(nextOffset, state.nextOffset),
    leaderEpoch: leaderEpoch ?? state.leaderEpoch,
  }
  if (isNews) return go(next, 'store')
  // Nothing to store: the credit that it cost goes back at once, and "you have everything" is news by itself.
  const step = go(next, 'tell')
  return event.sizeBytes > 0
    ? { state: next, effects: [...step.effects, { type: 'grant', sizeBytes: event.sizeBytes }] }
    : step
}

type Stored = Extract<SyncEvent, { type: 'stored' }>

function stored(state: SyncState, { position, sizeBytes }: Stored): SyncStep {
  // A unit that began before a cut or a failure may end after it: what it stored is held all the same.
  const isAhead = position.nextOffset > state.nextOffset
  const next: SyncState = isAhead ? backToStored({ ...state, position }) : { ...state, position }
  const grant: SyncEffect[] = sizeBytes > 0 ? [{ type: 'grant', sizeBytes }] : []
  return { state: next, effects: [...grant, { type: 'tell' }] }
}

function storeFailed(state: SyncState): SyncStep {
  const next = backToStored(state)
  if (state.phase !== 'following' && state.phase !== 'changing') return go(next, 'forget-queued')
  return go({ ...next, phase: 'waiting' }, 'forget-queued')
}

function backToStored(state: SyncState): SyncState {
  return { ...state, nextOffset: state.position.nextOffset, leaderEpoch: state.position.leaderEpoch }
}

type Ended = Extract<SyncEvent, { type: 'ended' }>

function ended(state: SyncState, { errorCode, logStart, truncateTo, retryInMs }: Ended): SyncStep {
  if (state.phase === 'changing') return go(state)
  if (errorCode === ErrorCode.UNKNOWN_TOPIC_ID || errorCode === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) {
    return go({ ...state, phase: 'gone' }, 'look-up-topic', 'tell')
  }
  // Histories differ, and what we hold lies wholly below the log's start: nothing of it can be compared any more.
  const toStart = { offset: Math.max(0, logStart), logStart: Math.max(0, logStart) }
  if (truncateTo >= 0 && logStart >= state.nextOffset) return reset(state, { ...toStart, isOtherLog: true })
  if (truncateTo >= 0) return cut(state, truncateTo)
  if (errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) {
    // Unless it lies beyond the relay's end, and it cannot say from where on we differ: nothing that is held can be trusted.
    return reset(state, { ...toStart, isOtherLog: logStart <= state.nextOffset })
  }
  const waiting: SyncState = { ...state, phase: 'waiting' }
  if (retryInMs !== null) return go(waiting, 'tell')
  return {
    state: { ...state, phase: 'refused' },
    effects: [{ type: 'refused', errorCode }, { type: 'tell' }],
  }
}

/** Whether anything at or above `offset` is stored shows only when the units under way have ended. */
function cut(state: SyncState, offset: number): SyncStep {
  return {
    state: { ...backToStored(state), phase: 'changing' },
    effects: [{ type: 'forget-queued' }, { type: 'cut', offset }],
  }
}

function reset(state: SyncState, to: Omit<Extract<SyncEffect, { type: 'reset' }>, 'type'>): SyncStep {
  return {
    state: { ...backToStored(state), phase: 'changing' },
    effects: [{ type: 'forget-queued' }, { type: 'reset', ...to }],
  }
}

function changed(state: SyncState, position: StoredPosition): SyncStep {
  return go({ ...backToStored({ ...state, position, from: null }), phase: 'waiting' }, 'tell', 'restart')
}

function tidied(state: SyncState, position: StoredPosition): SyncStep {
  const next = { ...state, position }
  return position.start === state.position.start ? go(next) : go(next, 'tell')
}

type PlainEffect = 'restart' | 'store' | 'forget-queued' | 'look-up-topic' | 'tell'

function go(state: SyncState, ...effects: PlainEffect[]): SyncStep {
  return { state, effects: effects.map((type) => ({ type })) }
}
