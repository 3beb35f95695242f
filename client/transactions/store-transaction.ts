/**
 * `ottla.transaction`: what the callback sends is stored as one unit in the outbox, online or not, and is in the log as a
 * whole or not at all.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { abortError } from '../abort-error.ts'
import type { Core, Settled, StoredDurability } from '../core.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import { outcomeError } from '../producer/outcome.ts'
import type { Committed } from '../producer/receipt.ts'
import type { SendBuffer } from '../producer/send-buffer.ts'
import type { Settlements } from '../producer/settlements.ts'
import { Gathering, type SendingTransaction } from './gathering.ts'

export interface TransactionOptions {
  /** Refused, with EXPIRED, when it could not be begun so long after it was stored. Default: it waits as long as it takes. */
  expiresAfterMs?: number
  /** Rejects ABORTED until the callback has ended; then it is stored, and `ottla.outbox.discard(id)` takes it back. */
  signal?: AbortSignal
}

export interface StoredTransaction {
  /** Of its entry in the outbox. */
  readonly id: string
  /** 'device' survives a crash and a power cut; 'memory' lasts as long as this context (no replica). */
  readonly durability: StoredDurability
  /**
   * All of it is in the log; where, in the order of sending. Waits for as long as it takes. Rejects REJECTED (refused
   * whole, parked in the outbox; `cause` says why), OUTCOME_UNKNOWN or DISCARDED.
   */
  readonly committed: Promise<Committed[]>
}

export interface TransactionClient {
  core: Core
  settlements: Settlements
  clock: Clock
  random: Random
  /** Of other writes, which it comes behind. */
  buffers: ReadonlySet<Pick<SendBuffer, 'topic' | 'storedSoFar'>>
}

/** Resolves when it is stored. Rejects with what the callback throws: then nothing of it is. */
export async function storeTransaction(
  client: TransactionClient,
  fill: (transaction: SendingTransaction) => unknown,
  { expiresAfterMs, signal }: TransactionOptions = {},
): Promise<StoredTransaction> {
  const { core, settlements, clock, random } = client
  if (expiresAfterMs !== undefined && !(expiresAfterMs > 0)) {
    throw new OttlaError('INVALID_ARGUMENT', { message: `expiresAfterMs must be above 0, not ${expiresAfterMs}` })
  }
  const gathering = new Gathering(clock)
  try {
    await fill(gathering)
  } finally {
    gathering.end()
  }
  const { topics } = gathering
  await Promise.all([...client.buffers].map((buffer) => topics.has(buffer.topic) && buffer.storedSoFar()))
  if (signal?.aborted) throw abortError('a transaction', signal)
  const id = randomUuid(random)
  const writes = gathering.writes()
  if (writes.length === 0) return { id, durability: 'memory', committed: Promise.resolve([]) }
  const committed = new Promise<Committed[]>((resolve, reject) => {
    settlements.expect(id, (settled) => {
      if (settled.outcome === 'committed') resolve(gathering.inOrderOfSending(placesOf(settled)))
      else reject(outcomeError(settled))
    })
  })
  // A refused transaction stays visible in the outbox until somebody decides about it.
  committed.catch(() => {})
  try {
    const expiresAtMs = expiresAfterMs === undefined ? null : clock.now() + expiresAfterMs
    const { durability } = await core.enqueueTransaction({ id, writes, expiresAtMs })
    return { id, durability, committed }
  } catch (thrown) {
    settlements.forget(id)
    throw asOttlaError(thrown, 'STORAGE_FAILED')
  }
}

function placesOf({ partitions, offsets, isRelaxed }: Extract<Settled, { outcome: 'committed' }>): Committed[] {
  const durability = isRelaxed ? 'relaxed' : 'fsync'
  return partitions.map((partition, index) => ({ partition, offset: offsets[index] ?? -1, durability }))
}
