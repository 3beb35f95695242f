/** Replica and outbox, encrypted on the device, on fake-indexeddb against a real relay. */
import 'fake-indexeddb/auto'
import { deleteDB, openDB } from 'idb'
import { expect, test } from 'vitest'
import { databaseName } from '../../../client/replica/idb-format.ts'
import { IdbStore } from '../../../client/replica/idb-store.ts'
import type { Encryption } from '../../../client/replica/sealed/encryption.ts'
import { newRowKey, openRowKey } from '../../../client/replica/sealed/row-key.ts'
import { RowSealer } from '../../../client/replica/sealed/row-sealer.ts'
import { SealedStore } from '../../../client/replica/sealed/sealed-store.ts'
import type { ChunkRow } from '../../../client/replica/store.ts'
import type { OutboxRow } from '../../../client/replica/store-outbox.ts'
import { describeReplicaStore } from '../../contract/replica-store.ts'
import { eventually } from '../../support/eventually.ts'
import { failCommits } from '../../support/idb-faults.ts'
import { onTheDevice } from '../../support/on-the-device.ts'
import { startRelay } from '../../support/relay.ts'
import { createTopic, heldIn, isUpTo, openStoredCore, writeOf } from '../../support/stored-core.ts'

let replicas = 0
const newReplica = () => `encrypted-${replicas++}`
const bytesOf = (value: number) => new Uint8Array(32).fill(value)
const RIGHT: Encryption = { secret: bytesOf(1) }

const { record, key } = await newRowKey(RIGHT)

describeReplicaStore('[ENC-1] encrypted store (fake-indexeddb)', async () => {
  const replica = newReplica()
  return {
    open: () => new SealedStore(new IdbStore({ replica }), new RowSealer(key), record),
    clear: () => deleteDB(databaseName(replica)),
    dispose: () => deleteDB(databaseName(replica)),
  }
})

test('[ENC-2] no record, key, name of a topic or filter is on the device in plain, and all is read back', async () => {
  const relay = await startRelay()
  const replica = newReplica()
  const options = { replica, url: relay.websocket.url, encryption: RIGHT }
  const core = await openStoredCore(options)
  await createTopic(core, 'diary')
  await core.replicate('diary', { prefixes: ['ada/'] } as never)
  await core.replicate('diary', {})
  for (const value of ['dear diary', 'second thoughts']) await core.enqueue(writeOf('diary', [value]))
  await isUpTo(core, 'diary', 2)
  await core.close()
  await relay.close()
  const offline = await openStoredCore({ replica, encryption: RIGHT })
  await offline.enqueue(writeOf('diary', ['written offline']))
  const device = await onTheDevice()
  for (const plain of ['diary', 'dear', 'thoughts', 'offline', 'ada/']) expect(device).not.toContain(plain)
  expect(await heldIn(offline, 'diary')).toEqual(['dear diary', 'second thoughts'])
  expect(await offline.outbox.list()).toMatchObject([{ topic: 'diary', state: 'pending', recordCount: 1 }])
})

test('[ENC-3] the wrong secret, none, or one for a replica in plain is refused, and disturbs nobody', async () => {
  const replica = newReplica()
  const core = await openStoredCore({ replica, encryption: RIGHT })
  await core.enqueue(writeOf('diary', ['a']))
  const locked = { code: 'LOCKED', storage: 'locked' }
  await expect(openStoredCore({ replica, encryption: { secret: bytesOf(2) } })).rejects.toMatchObject(locked)
  await expect(openStoredCore({ replica, encryption: 'device' })).rejects.toMatchObject(locked)
  await expect(openStoredCore({ replica })).rejects.toMatchObject(locked)
  await core.enqueue(writeOf('diary', ['b']))
  await core.close()
  const again = await openStoredCore({ replica, encryption: RIGHT })
  expect(again.status().outbox.pendingEntries).toBe(2)

  const plain = newReplica()
  await (await openStoredCore({ replica: plain })).close()
  await expect(openStoredCore({ replica: plain, encryption: RIGHT })).rejects.toMatchObject(locked)
  const short = { secret: new Uint8Array(8) }
  await expect(openStoredCore({ replica: newReplica(), encryption: short })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  })
})

test('[ENC-3] a text is stretched, and is the same however it was composed', async () => {
  const made = await newRowKey({ secret: 'Å-ngström' })
  expect(made.record.wrapped?.iterations).toBeGreaterThanOrEqual(600_000)
  const sealed = await new RowSealer(made.key).seal(bytesOf(7), 'place')
  const opened = await openRowKey(made.record, { secret: 'A\u030a-ngstro\u0308m' })
  expect(await new RowSealer(opened.key).open(sealed, 'place')).toEqual(bytesOf(7))
  await expect(crypto.subtle.exportKey('raw', opened.key)).rejects.toThrow()
}, 60_000)

test('[ENC-4] rows that were changed, or put elsewhere, count as damage: fetched again, or shown as lost', async () => {
  const relay = await startRelay()
  const replica = newReplica()
  const options = { replica, url: relay.websocket.url, encryption: RIGHT }
  const core = await openStoredCore(options)
  await createTopic(core, 'diary')
  await core.enqueue(writeOf('diary', ['first']))
  await eventually(() => core.status().outbox.pendingEntries === 0)
  await core.replicate('diary', {})
  await isUpTo(core, 'diary', 1)
  await core.enqueue(writeOf('diary', ['other']))
  await isUpTo(core, 'diary', 2)
  const database = await openDB(databaseName(replica))
  const [first, other] = (await database.getAll('chunks')) as [ChunkRow, ChunkRow]
  const [, otherKey] = await database.getAllKeys('chunks')
  await database.put('chunks', { ...other, bytes: first.bytes }, otherKey)
  const { topicId } = core.status().topics[0]!.replica[0]!
  expect(await core.readReplica(topicId, 0, 1, 1)).toEqual([])
  expect(core.status().storageError).toMatchObject({ code: 'CORRUPT' })
  await eventually(() => core.status().topics[0]!.replica[0]!.generation === 1)
  await isUpTo(core, 'diary', 2)
  expect(await heldIn(core, 'diary')).toEqual(['first', 'other'])
  await core.close()

  const offline = await openStoredCore({ replica, encryption: RIGHT })
  for (const value of ['a', 'b']) await offline.enqueue(writeOf('diary', [value]))
  await offline.close()
  const [row] = (await database.getAll('outbox')) as [OutboxRow]
  const batch = row.batch.slice()
  batch[batch.length - 1]! ^= 1
  await database.put('outbox', { ...row, batch }, row.key)
  database.close()
  const damaged = await openStoredCore({ replica, encryption: RIGHT })
  expect((await damaged.outbox.list()).map(({ state }) => state)).toEqual(['pending', 'unknown'])
})

test('[ENC-5] a logout takes the key with it, unless writes are kept; the next user chooses a secret anew', async () => {
  const replica = newReplica()
  const core = await openStoredCore({ replica, encryption: RIGHT })
  await core.enqueue(writeOf('diary', ['kept']))
  await core.logout({ pending: 'keep' })
  expect(await onTheDevice()).not.toContain('diary')
  await expect(openStoredCore({ replica, encryption: { secret: bytesOf(2) } })).rejects.toMatchObject({
    code: 'LOCKED',
  })
  const again = await openStoredCore({ replica, encryption: RIGHT })
  expect(again.status().outbox.pendingEntries).toBe(1)
  await again.logout({ pending: 'discard' })
  const next = await openStoredCore({ replica, encryption: { secret: bytesOf(2) } })
  expect(await next.outbox.list()).toEqual([])
})

test('[ENC-8] the secret is changed in one step: then the new one opens the replica, the old one does not, and all is there', async () => {
  const replica = newReplica()
  const core = await openStoredCore({ replica, encryption: RIGHT })
  await core.enqueue(writeOf('diary', ['before']))
  const [from, to, later] = [bytesOf(1), bytesOf(2), bytesOf(3)]
  await expect(core.changeSecret({ from: to, to: later })).rejects.toMatchObject({ code: 'LOCKED' })
  await expect(core.changeSecret({ from, to: new Uint8Array(3) })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await core.changeSecret({ from, to })
  // Asked for once more, by a page whose worker died before it could answer.
  await core.changeSecret({ from, to })
  await core.enqueue(writeOf('diary', ['after']))
  await core.close()
  await expect(openStoredCore({ replica, encryption: RIGHT })).rejects.toMatchObject({ code: 'LOCKED' })
  const again = await openStoredCore({ replica, encryption: { secret: to } })
  expect(again.status().outbox.pendingEntries).toBe(2)
  // What is cleared under it comes back under the new one.
  await deleteDB(databaseName(replica))
  await eventually(() => again.status().storageError === null || again.status().outbox.pendingEntries === 2)
  await again.enqueue(writeOf('diary', ['once more']))
  await again.close()
  await expect(openStoredCore({ replica, encryption: RIGHT })).rejects.toMatchObject({ code: 'LOCKED' })
  await (await openStoredCore({ replica, encryption: { secret: to } })).close()

  for (const encryption of [undefined, 'device'] as const) {
    const other = await openStoredCore({ replica: newReplica(), encryption })
    await expect(other.changeSecret({ from, to })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  }
})

test('[ENC-8] a change that the device does not store has not happened', async () => {
  const replica = newReplica()
  const core = await openStoredCore({ replica, encryption: RIGHT })
  const mend = failCommits(new DOMException('no room', 'QuotaExceededError'))
  const change = core.changeSecret({ from: bytesOf(1), to: bytesOf(2) })
  await expect(change).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' })
  mend()
  await core.close()
  await expect(openStoredCore({ replica, encryption: { secret: bytesOf(2) } })).rejects.toMatchObject({
    code: 'LOCKED',
  })
  await (await openStoredCore({ replica, encryption: RIGHT })).close()
})

test('[ENC-6] no two rows share a nonce, whatever they hold', async () => {
  const sealers = [new RowSealer(key), new RowSealer(key)]
  const all = await Promise.all(Array.from({ length: 4_000 }, (_, index) => sealers[index % 2]!.seal(bytesOf(1), 'p')))
  expect(new Set(all.map((sealed) => Buffer.from(sealed.subarray(1, 13)).toString('hex'))).size).toBe(4_000)
})
