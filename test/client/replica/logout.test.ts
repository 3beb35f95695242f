/** The end of a user's time on a device, with crashes, sleepers and unsent writes, on fake-indexeddb. */
import 'fake-indexeddb/auto'
import { deleteDB } from 'idb'
import { expect, test } from 'vitest'
import type { Settled } from '../../../client/core.ts'
import { noteIntent } from '../../../client/replica/ending.ts'
import { databaseName } from '../../../client/replica/idb-format.ts'
import { eventually } from '../../support/eventually.ts'
import { onTheDevice } from '../../support/on-the-device.ts'
import { startRelay } from '../../support/relay.ts'
import { createTopic, heldIn, isUpTo, openStoredCore, writeOf } from '../../support/stored-core.ts'

let replicas = 0
const newReplica = () => `user-${replicas++}`

test('[LGO-1] after a logout nothing of what a replica held is on the device', async () => {
  const relay = await startRelay()
  const replica = newReplica()
  const core = await openStoredCore({ replica, url: relay.websocket.url })
  await createTopic(core, 'diary')
  await core.replicate('diary', {})
  await core.enqueue(writeOf('diary', ['dear diary']))
  await isUpTo(core, 'diary', 1)
  await eventually(() => core.status().outbox.pendingEntries === 0)
  expect(await onTheDevice()).toContain('dear diary')
  await core.logout()
  const left = await onTheDevice()
  expect(left).not.toContain('diary')
  expect(core.status()).toMatchObject({ state: 'closed', connection: { error: { code: 'LOGGED_OUT' } } })
  expect((await indexedDB.databases()).map(({ name }) => name)).not.toContain(`ottla-ending/${replica}`)

  const next = await openStoredCore({ replica, url: relay.websocket.url })
  expect(next.status().topics).toEqual([])
  expect(next.life).toBe(1)
  await createTopic(next, 'other')
  await next.enqueue(writeOf('other', ['hello']))
  await eventually(() => next.status().outbox.pendingEntries === 0)
})

test('[LGO-2] unsent writes: a logout is refused, and nothing has changed', async () => {
  const core = await openStoredCore({ replica: newReplica() })
  await core.enqueue(writeOf('diary', ['unsent']))
  await expect(core.logout()).rejects.toMatchObject({ code: 'UNSENT_WRITES' })
  await expect(core.logout({ pending: 'send', timeoutMs: 30 })).rejects.toMatchObject({ code: 'UNSENT_WRITES' })
  await core.enqueue(writeOf('diary', ['still taken']))
  expect(core.status().outbox.pendingEntries).toBe(2)
})

test("[LGO-3] pending: 'send' waits until all is sent, what comes meanwhile too", async () => {
  const relay = await startRelay()
  const core = await openStoredCore({ replica: newReplica(), url: relay.websocket.url })
  await createTopic(core, 'diary')
  const settled: Settled[] = []
  core.onSettled((all) => settled.push(...all))
  const early = Array.from({ length: 20 }, (_, index) => core.enqueue(writeOf('diary', [`early-${index}`])))
  const leaving = core.logout({ pending: 'send' })
  const late = core.enqueue(writeOf('diary', ['late'])).then(
    () => 'stored',
    ({ code }) => code,
  )
  await Promise.all(early)
  expect((await leaving).unsent).toMatchObject({ pendingEntries: 0, parkedEntries: 0 })
  const sent = settled.filter(({ outcome }) => outcome === 'committed').length
  expect(sent).toBe((await late) === 'stored' ? 21 : 20)
})

test("[LGO-4] pending: 'keep' leaves unsent writes for the next time, 'discard' tells that they are gone", async () => {
  const relay = await startRelay()
  const replica = newReplica()
  const first = await openStoredCore({ replica })
  await first.enqueue(writeOf('diary', ['kept']))
  expect((await first.logout({ pending: 'keep' })).unsent.pendingEntries).toBe(1)

  const admin = await openStoredCore({ replica: newReplica(), url: relay.websocket.url })
  await createTopic(admin, 'diary')
  const second = await openStoredCore({ replica, url: relay.websocket.url })
  await eventually(() => second.status().outbox.pendingEntries === 0)
  await second.replicate('diary', {})
  await isUpTo(second, 'diary', 1)
  expect(await heldIn(second, 'diary')).toEqual(['kept'])
  await second.logout()

  const third = await openStoredCore({ replica })
  const settled: Settled[] = []
  third.onSettled((all) => settled.push(...all))
  const write = writeOf('diary', ['given up'])
  await third.enqueue(write)
  expect((await third.logout({ pending: 'discard' })).unsent.pendingEntries).toBe(1)
  expect(settled).toMatchObject([{ id: write.id, outcome: 'discarded', error: { code: 'LOGGED_OUT' } }])
  expect(await onTheDevice()).not.toContain('given up')
})

test('[LGO-5] a client that slept through the logout is ended by its next write, and writes nothing', async () => {
  const replica = newReplica()
  const asleep = await openStoredCore({ replica })
  await asleep.enqueue(writeOf('diary', ['before']))
  const other = await openStoredCore({ replica })
  await other.logout({ pending: 'discard' })
  await expect(asleep.enqueue(writeOf('diary', ['after']))).rejects.toMatchObject({ code: 'LOGGED_OUT' })
  await eventually(() => asleep.status().state === 'closed')
  expect(asleep.status().connection).toMatchObject({ error: { code: 'LOGGED_OUT' } })
  expect(await onTheDevice()).not.toContain('after')
  // Nor may it be opened anew by whoever knows only the life that has ended.
  await expect(openStoredCore({ replica, life: 0 })).rejects.toMatchObject({ code: 'LOGGED_OUT' })
})

test('[LGO-6] a logout that died half-way is finished by whoever opens a replica next, of another user too', async () => {
  const replica = newReplica()
  const first = await openStoredCore({ replica })
  await first.enqueue(writeOf('diary', ['secret']))
  await first.close()
  await noteIntent(replica, { life: 0, keepOutbox: false, caches: [] })
  const other = await openStoredCore({ replica: newReplica() })
  await eventually(async () => !(await onTheDevice()).includes('secret'))
  await eventually(async () => !(await indexedDB.databases()).some(({ name }) => name?.startsWith('ottla-ending/')))
  await other.close()

  const again = await openStoredCore({ replica })
  expect(again.life).toBe(1)
  await again.enqueue(writeOf('diary', ['of the new life']))
  await again.close()
  // An ending that somebody began for the former life does nothing to this one.
  await noteIntent(replica, { life: 0, keepOutbox: false, caches: [] })
  const last = await openStoredCore({ replica })
  expect(last.status().outbox.pendingEntries).toBe(1)
  await last.close()
  await noteIntent(replica, { life: 1, keepOutbox: false, caches: [] })
  expect((await openStoredCore({ replica })).status().outbox.pendingEntries).toBe(0)
})

test('a client without a replica just closes', async () => {
  const core = await openStoredCore({ replica: null as never })
  await core.enqueue(writeOf('diary', ['in memory']))
  await expect(core.logout()).rejects.toMatchObject({ code: 'UNSENT_WRITES' })
  await core.logout({ pending: 'discard' })
  expect(core.status().state).toBe('closed')
})

test('[LGO-10] a logout ends, and is told as one, when the browser clears the storage in the middle of it', async () => {
  for (let turns = 0; turns < 8; turns++) {
    const replica = newReplica()
    const core = await openStoredCore({ replica })
    await core.enqueue(writeOf('diary', ['wiped out']))
    const leaving = core.logout({ pending: 'discard' })
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
    const cleared = deleteDB(databaseName(replica))
    await leaving
    expect(core.status()).toMatchObject({ state: 'closed', connection: { error: { code: 'LOGGED_OUT' } } })
    await cleared
    expect(await onTheDevice()).not.toContain('wiped out')
  }
})
