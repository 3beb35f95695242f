/**
 * An entry's way out of the send buffer: encoded, compressed if that is asked for, handed to the core; then its receipts
 * hear what comes of it. No page needs this for its first record, so it is loaded beside it. Built as sending.js.
 */
import { gzip } from '../../protocol/compression.ts'
import { partitionForKey } from '../../protocol/lib/partitioner.ts'
import { randomBelow } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { compressBatch, encodeBatch } from '../../protocol/records.ts'
import type { EnqueuedWrite, StoredDurability } from '../core.ts'
import { asOttlaError } from '../errors.ts'
import { onPageHidden } from '../page-hide.ts'
import { settleReceipts } from './outcome.ts'
import type { Entry, Outgoing, SendBufferOptions, SendBufferParts, Sending } from './send-buffer.ts'

export interface EnqueueOptions extends Pick<Required<SendBufferOptions>, 'compression'> {
  /** For each call to the core: before it, and when these are stored or have failed. */
  began(): void
  ended(outgoing: readonly Outgoing[]): void
}

const watched = new WeakSet<Sending>()

/** `enqueueEntry`. From now on nothing of this client lingers when its page is going. */
export function enqueuerFor(sending: Sending): typeof enqueueEntry {
  if (watched.has(sending)) return enqueueEntry
  watched.add(sending)
  const unlisten = onPageHidden(() => {
    for (const buffer of sending.busy) void buffer.flush()
    if (sending.isClosed) unlisten()
  })
  return enqueueEntry
}

/** Resolves when all of the entry is on its way, in its order. Rejects what cannot be encoded. */
export async function enqueueEntry(parts: SendBufferParts, entry: Entry, options: EnqueueOptions): Promise<void> {
  const { id, partition, outgoing } = entry
  if (options.compression === 'none')
    return enqueue(parts, outgoing, { id, partition, batch: encoded(outgoing) }, options)
  // The outbox cannot look into a compressed batch, so the partition is chosen here.
  const groups = await groupedByPartition(parts, entry)
  let nextId: string | undefined = id
  for (const [chosen, group] of groups) {
    const ownId = nextId ?? randomUuid(parts.random)
    nextId = undefined
    for (const { receipt } of group) receipt.id = ownId
    const plain = encoded(group)
    const batch = chosen === null ? plain : await smaller(plain)
    enqueue(parts, group, { id: ownId, partition: chosen, batch }, options)
  }
}

function enqueue(
  { core, topic, settlements }: SendBufferParts,
  outgoing: readonly Outgoing[],
  write: Omit<EnqueuedWrite, 'topic'>,
  { began, ended }: EnqueueOptions,
): void {
  const receipts = outgoing.map(({ receipt }) => receipt)
  settlements.expect(write.id, (settled) => settleReceipts(receipts, settled))
  began()
  const onStored = ({ durability }: { durability: StoredDurability }) => {
    for (const receipt of receipts) receipt.resolveStored(durability)
  }
  const onFailed = (thrown: unknown) => {
    settlements.forget(write.id)
    const error = asOttlaError(thrown, 'STORAGE_FAILED')
    for (const receipt of receipts) receipt.rejectBoth(error)
  }
  void core
    .enqueue({ topic, ...write })
    .then(onStored, onFailed)
    .then(() => ended(outgoing))
}

async function groupedByPartition(
  { core, topic, random }: SendBufferParts,
  { partition, outgoing }: Entry,
): Promise<Map<number | null, Outgoing[]>> {
  if (partition !== null) return new Map([[partition, outgoing]])
  // Offline and never heard of: the entry goes uncompressed, and the outbox partitions it when it knows how.
  const info = await core.topic(topic).catch(() => undefined)
  if (!info) return new Map([[null, outgoing]])
  const sticky = randomBelow(random, info.partitionCount)
  const groups = new Map<number, Outgoing[]>()
  for (const each of outgoing) {
    const { key } = each.record
    const chosen = key ? partitionForKey(key, info.partitionCount) : sticky
    const group = groups.get(chosen)
    if (group) group.push(each)
    else groups.set(chosen, [each])
  }
  return groups
}

const encoded = (outgoing: readonly Outgoing[]): Uint8Array => encodeBatch(outgoing.map(({ record }) => record))

async function smaller(batch: Uint8Array): Promise<Uint8Array> {
  const compressed = await compressBatch(batch, 1, (block) => gzip.compress!(block))
  return compressed.length < batch.length ? compressed : batch
}
