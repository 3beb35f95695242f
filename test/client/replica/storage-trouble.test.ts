/** Everything that a browser's database does to a client, provoked one by one. */
import 'fake-indexeddb/auto'
import { deleteDB } from 'idb'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { LocalCore } from '../../../client/local-core-options.ts'
import { databaseName } from '../../../client/replica/idb-format.ts'
import { classifyStoreFailure } from '../../../client/replica/store-error.ts'
import type { Relay } from '../../../server/relay.ts'
import { eventually } from '../../support/eventually.ts'
import { failCommits, failOpening, failRequests } from '../../support/idb-faults.ts'
import { startRelay } from '../../support/relay.ts'
import { createTopic, heldIn, isUpTo, openStoredCore, writeOf } from '../../support/stored-core.ts'

let relay: Relay
let replica = ''
let replicas = 0
let mend: Array<() => void> = []

beforeEach(async () => {
  relay = await startRelay()
  replica = `trouble-${replicas++}`
})

afterEach(() => {
  for (const each of mend) each()
  mend = []
})

const provoke = (fault: () => void) => mend.push(fault)
const open = () => openStoredCore({ replica, url: relay.websocket.url })
const storageOf = (core: LocalCore) => core.status().storageError?.storage

const QUOTA = new DOMException('The quota has been exceeded.', 'QuotaExceededError')
const BACKING = new DOMException('Internal error opening backing store for indexedDB.open.', 'UnknownError')
const LOST_CONNECTION = new DOMException('Connection to Indexed Database server lost.', 'UnknownError')
const LOST_FILE = new DOMException('Data lost due to missing file.', 'NotReadableError')

test.each([
  ['QuotaExceededError', 'The quota has been exceeded.', 'quota'],
  ['UnknownError', 'Internal error opening backing store for indexedDB.open.', 'backing-store'],
  ['UnknownError', 'Connection to Indexed Database server lost. Refresh the page to try again', 'connection-lost'],
  ['InvalidStateError', 'The database connection is closing.', 'connection-lost'],
  [
    'InvalidStateError',
    'A mutation operation was attempted on a database that did not allow mutations.',
    'unavailable',
  ],
  ['SecurityError', 'The operation is insecure.', 'unavailable'],
  ['NotReadableError', 'Data lost due to missing file. Affected record is irrecoverable', 'corrupt'],
  ['NotReadableError', 'Data lost due to corruption in the backing store', 'corrupt'],
  ['DataError', 'Failed to read large IndexedDB value', 'corrupt'],
  ['DataError', 'no valid key', 'failed'],
])('[STO-1] each failure has a kind: %s "%s" is %s', (name, message, kind) => {
  expect(classifyStoreFailure(new DOMException(message, name))).toBe(kind)
})

test('[STO-2] what opens or works only at a later attempt is tried until then', async () => {
  const core = await open()
  provoke(failOpening(BACKING, 2))
  // Closes the connection, as a browser does whose database process has died.
  await deleteDB(databaseName(replica))
  await core.enqueue(writeOf('notes', ['a']))
  expect(core.status().outbox.pendingEntries).toBe(1)
})

test('[STO-3] what did not complete is not stored, is nowhere, and says why', async () => {
  const core = await openStoredCore({ replica })
  const fail = failCommits(QUOTA)
  provoke(fail)
  await expect(core.enqueue(writeOf('notes', ['a']))).rejects.toMatchObject({
    code: 'QUOTA_EXCEEDED',
    storage: 'quota',
  })
  expect(storageOf(core)).toBe('quota')
  expect(await core.outbox.list()).toEqual([])
  fail()
  await core.enqueue(writeOf('notes', ['b']))
  expect(core.status().storageError).toBeNull()
  expect(core.status().outbox.pendingEntries).toBe(1)
})

test.each([
  ['backing-store', BACKING],
  ['connection-lost', LOST_CONNECTION],
  ['unavailable', new DOMException('The operation is insecure.', 'SecurityError')],
] as const)(
  '[STO-4] a replica that cannot be opened says %s, and is never memory instead',
  async (storage, failure) => {
    provoke(failOpening(failure))
    await expect(openStoredCore({ replica })).rejects.toMatchObject({ code: 'STORAGE_FAILED', storage })
  },
)

test.each([null, undefined])('[STO-4] IndexedDB that is %s is unavailable', async (nothing) => {
  const factory = globalThis.indexedDB
  provoke(() => {
    globalThis.indexedDB = factory
  })
  globalThis.indexedDB = nothing as never
  await expect(openStoredCore({ replica })).rejects.toMatchObject({ storage: 'unavailable' })
})

test('[STO-5] a database that is cleared while nobody writes is noticed at once', async () => {
  const core = await open()
  await createTopic(core, 'notes')
  await core.replicate('notes', {})
  await core.enqueue(writeOf('notes', ['a', 'b']))
  await isUpTo(core, 'notes', 2)
  await deleteDB(databaseName(replica))
  await eventually(() => storageOf(core) === 'evicted')
  await eventually(() => core.status().topics[0]?.replica[0]?.generation === 1)
  await isUpTo(core, 'notes', 2)
  expect(await heldIn(core, 'notes')).toEqual(['a', 'b'])
})

test('[STO-6] a cleared database that does not come back: writes are refused, and all is taken up when it does', async () => {
  const core = await openStoredCore({ replica })
  await core.enqueue(writeOf('notes', ['kept in memory']))
  const fail = failOpening(new DOMException('The operation is insecure.', 'SecurityError'))
  provoke(fail)
  await deleteDB(databaseName(replica))
  await expect(core.enqueue(writeOf('notes', ['refused']))).rejects.toMatchObject({ storage: 'unavailable' })
  expect(storageOf(core)).toBe('unavailable')
  fail()
  await eventually(() => core.enqueue(writeOf('notes', ['taken'])))
  expect(core.status().storageError).toBeNull()
  expect(core.status().outbox.pendingEntries).toBe(2)
})

test('[STO-7] rows of the replica that cannot be read are fetched again from there, those below stay', async () => {
  const core = await open()
  await createTopic(core, 'notes')
  for (const value of ['a', 'b', 'c']) {
    await core.enqueue(writeOf('notes', [value]))
    await eventually(() => core.status().outbox.pendingEntries === 0)
    if (value === 'a') await core.replicate('notes', {})
    await isUpTo(core, 'notes', value.charCodeAt(0) - 96)
  }
  const isDamaged = (store: IDBObjectStore, query: unknown) =>
    store.name === 'chunks' && ((query as IDBKeyRange).lower as [string, number, number])[2] === 1
  const fail = failRequests('get', LOST_FILE, isDamaged)
  provoke(fail)
  const { topicId } = core.status().topics[0]!.replica[0]!
  expect(await core.readReplica(topicId, 0, 1, 1)).toEqual([])
  expect(core.status().storageError).toMatchObject({ code: 'CORRUPT', storage: 'corrupt' })
  await eventually(() => core.status().topics[0]!.replica[0]!.generation === 1)
  fail()
  await isUpTo(core, 'notes', 3)
  expect(core.status().topics[0]!.replica[0]!.start).toBe(0)
  expect(await heldIn(core, 'notes')).toEqual(['a', 'b', 'c'])
})

test('[STO-8] a stored write that cannot be read is shown as lost, and hides no other', async () => {
  const first = await openStoredCore({ replica })
  for (const value of ['a', 'b', 'c']) await first.enqueue(writeOf('notes', [value]))
  const keys = (await first.outbox.list()).map(({ id }) => id)
  await first.close()
  let asked = 0
  provoke(failRequests('getAll', LOST_FILE, (store) => store.name === 'outbox'))
  provoke(failRequests('get', LOST_FILE, (store) => store.name === 'outbox' && ++asked === 2))
  const second = await openStoredCore({ replica })
  const entries = await second.outbox.list()
  expect(entries.filter(({ state }) => state === 'pending').map(({ id }) => id)).toEqual([keys[0], keys[2]])
  const [lost] = entries.filter(({ state }) => state === 'unknown')
  expect(lost).toMatchObject({ error: { code: 'CORRUPT', storage: 'corrupt' } })
  await second.outbox.discard(lost!.id)
  expect(await second.outbox.list()).toHaveLength(2)
})
