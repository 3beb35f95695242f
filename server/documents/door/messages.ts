/**
 * y-websocket's messages: a number that says which (0 sync, 1 awareness, 2 auth, 3 query awareness), then y-protocols'
 * content. Sync is a number again (0 state vector, 1 what that lacks, 2 an update) and bytes with their length in front. All
 * numbers are LEB128.
 */
import { createDecoder, readVarString, readVarUint, readVarUint8Array } from 'lib0/decoding'
import { createEncoder, toUint8Array, writeVarString, writeVarUint, writeVarUint8Array } from 'lib0/encoding'

const SYNC = 0
const AWARENESS = 1
const AUTH = 2
const QUERY_AWARENESS = 3
const STATE_VECTOR = 0
const MISSING = 1
const UPDATE = 2
const DENIED = 0

/** Of the range after which the stock provider does not come back. */
export const TOO_LARGE_CODE = 4413

export type Received =
  | { is: 'state-vector'; stateVector: Uint8Array }
  /** `isAnswer`: to the state vector that was sent. */
  | { is: 'update'; update: Uint8Array; isAnswer: boolean }
  | { is: 'awareness'; update: Uint8Array }
  | { is: 'query-awareness' }
  /** Of a kind that is not known here. */
  | { is: 'other' }

export interface AwarenessChange {
  added: number[]
  updated: number[]
  removed: number[]
}

export interface AwarenessEntry {
  client: number
  clock: number
  isGone: boolean
}

/** What an awareness update is about. */
export function awarenessEntries(update: Uint8Array): AwarenessEntry[] {
  const decoder = createDecoder(update)
  const entries: AwarenessEntry[] = []
  for (let left = readVarUint(decoder); left > 0; left--) {
    const [client, clock] = [readVarUint(decoder), readVarUint(decoder)]
    entries.push({ client, clock, isGone: readVarString(decoder) === 'null' })
  }
  return entries
}

/** Throws what lib0 throws for bytes that end too early. */
export function read(bytes: Uint8Array): Received {
  const decoder = createDecoder(bytes)
  const kind = readVarUint(decoder)
  if (kind === AWARENESS) return { is: 'awareness', update: readVarUint8Array(decoder) }
  if (kind === QUERY_AWARENESS) return { is: 'query-awareness' }
  if (kind !== SYNC) return { is: 'other' }
  const step = readVarUint(decoder)
  if (step === STATE_VECTOR) return { is: 'state-vector', stateVector: readVarUint8Array(decoder) }
  if (step === MISSING || step === UPDATE)
    return { is: 'update', update: readVarUint8Array(decoder), isAnswer: step === MISSING }
  throw new RangeError(`there is no sync message ${step}`)
}

export const stateVector = (content: Uint8Array): Uint8Array => message(SYNC, STATE_VECTOR, content)
export const missing = (content: Uint8Array): Uint8Array => message(SYNC, MISSING, content)
export const update = (content: Uint8Array): Uint8Array => message(SYNC, UPDATE, content)
export const awareness = (content: Uint8Array): Uint8Array => message(AWARENESS, undefined, content)

export function denied(reason: string): Uint8Array {
  const encoder = createEncoder()
  writeVarUint(encoder, AUTH)
  writeVarUint(encoder, DENIED)
  writeVarString(encoder, reason)
  return toUint8Array(encoder)
}

function message(kind: number, step: number | undefined, content: Uint8Array): Uint8Array {
  const encoder = createEncoder()
  writeVarUint(encoder, kind)
  if (step !== undefined) writeVarUint(encoder, step)
  writeVarUint8Array(encoder, content)
  return toUint8Array(encoder)
}
