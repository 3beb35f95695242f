/**
 * An outbox's file under a secret: its lines are encrypted as rows of a replica are, under a key of the file's own that the
 * secret wraps.
 *
 * Invariant: each line is bound to its number, and the last one, which is empty, says how many there were. So a line that was
 * changed, moved or taken away, or an end that is missing, is noticed before anything is taken in.
 */

import { deviceError } from '../device-errors.ts'
import { OttlaError } from '../errors.ts'
import { loadApart } from '../load-apart.ts'
import type { Secret } from '../replica/sealed/encryption.ts'
import type { RowSealer } from '../replica/sealed/row-sealer.ts'
import { StoreError } from '../replica/store-error.ts'
import { fromBase64, toBase64 } from './base64.ts'

/** In the file's first line: how the secret leads to its key. */
export interface FileSealing {
  salt: string
  iterations: number
  nonce: string
  key: string
}

/** An exported file needs no more rounds than a replica; what asks for millions keeps a page busy. */
const ITERATIONS_MAX = 10_000_000

const encryption = () => loadApart('encryption', () => import('../replica/sealed/apart.ts'))
const toBytes = (text: string) => new TextEncoder().encode(text)

export class LineSealer {
  readonly sealing: FileSealing
  readonly #sealer: RowSealer
  #count = 0

  constructor(sealing: FileSealing, sealer: RowSealer) {
    this.sealing = sealing
    this.#sealer = sealer
  }

  async line(plain: string): Promise<string> {
    return toBase64(await this.#sealer.seal(toBytes(plain), linePlace(this.#count++)))
  }

  async end(): Promise<string> {
    return toBase64(await this.#sealer.seal(new Uint8Array(0), endPlace(this.#count)))
  }
}

/** Rejects INVALID_ARGUMENT for what is no secret, UNSUPPORTED without Web Crypto. */
export async function newLineSealer(secret: Secret): Promise<LineSealer> {
  const { newRowKey, RowSealer } = await encryption()
  const { record, key } = await newRowKey({ secret })
  const { salt, iterations, nonce, key: wrapped } = record.wrapped!
  const sealing = { salt: toBase64(salt), iterations, nonce: toBase64(nonce), key: toBase64(wrapped) }
  return new LineSealer(sealing, new RowSealer(key))
}

/** The key of a file. Rejects LOCKED when it is another secret's. */
export async function openFileKey(sealing: FileSealing, secret: Secret): Promise<RowSealer> {
  const { openRowKey, RowSealer } = await encryption()
  const wrapped = wrappingOf(sealing)
  try {
    return new RowSealer((await openRowKey({ version: 1, id: '', wrapped }, { secret })).key)
  } catch (failure) {
    if (!(failure instanceof StoreError)) throw failure
    throw deviceError('LOCKED', { message: 'this file is encrypted under another secret', cause: failure })
  }
}

function wrappingOf({ salt, iterations, nonce, key }: FileSealing) {
  if (!Number.isInteger(iterations) || iterations < 0 || iterations > ITERATIONS_MAX) throw notSound()
  try {
    return { salt: fromBase64(salt), iterations, nonce: fromBase64(nonce), key: fromBase64(key) }
  } catch (cause) {
    throw notSound(cause)
  }
}

/** Rejects INVALID_ARGUMENT when they are not all there, in their order, as they were written. */
export async function* openedLines(lines: AsyncIterable<string>, sealer: RowSealer): AsyncGenerator<string> {
  let count = 0
  let held: string | undefined
  for await (const line of lines) {
    if (held !== undefined) yield new TextDecoder().decode(await opened(sealer, held, linePlace(count++)))
    held = line
  }
  await opened(sealer, held ?? '', endPlace(count))
}

async function opened(sealer: RowSealer, line: string, place: string): Promise<Uint8Array> {
  try {
    return await sealer.open(fromBase64(line), place)
  } catch (cause) {
    throw notSound(cause)
  }
}

const linePlace = (index: number) => `file-line/${index}`
const endPlace = (count: number) => `file-end/${count}`
const notSound = (cause?: unknown) =>
  new OttlaError('INVALID_ARGUMENT', { message: 'this encrypted file of an outbox is damaged, or not whole', cause })
