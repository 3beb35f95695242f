/** The outbox as a file, and back, on fake-indexeddb. */
import 'fake-indexeddb/auto'
import { expect, test } from 'vitest'
import { exportOutbox, importOutbox } from '../../../client/outbox/outbox-file.ts'
import { eventually } from '../../support/eventually.ts'
import { startRelay } from '../../support/relay.ts'
import { createTopic, heldIn, isUpTo, openStoredCore, writeOf } from '../../support/stored-core.ts'

let replicas = 0
const newReplica = () => `file-${replicas++}`

test('[STO-10] what waits goes into a file and comes back, transactions whole, and is not doubled however often', async () => {
  const first = await openStoredCore({ replica: newReplica() })
  for (const value of ['a', 'b']) await first.enqueue(writeOf('notes', [value]))
  const { id: _, ...one } = writeOf('notes', ['c'])
  await first.enqueueTransaction({ id: 'tx', writes: [one, { ...one, topic: 'others' }], expiresAtMs: null })
  const file = await exportOutbox(first, 1_700_000_000_000)
  const [head, ...lines] = (await file.text()).trim().split('\n')
  expect(JSON.parse(head!)).toMatchObject({ format: 'ottla-outbox', version: 2, exportedAtMs: 1_700_000_000_000 })
  expect(lines).toHaveLength(4)
  expect(await importOutbox(first, file)).toEqual({ imported: 0, known: 3, doubtful: 0 })

  const relay = await startRelay()
  const second = await openStoredCore({ replica: newReplica(), url: relay.websocket.url })
  for (const topic of ['notes', 'others']) await createTopic(second, topic)
  expect(await importOutbox(second, file)).toEqual({ imported: 3, known: 0, doubtful: 0 })
  await eventually(() => second.status().outbox.pendingEntries === 0)
  expect(await importOutbox(second, file)).toEqual({ imported: 0, known: 3, doubtful: 0 })
  await second.replicate('notes', {})
  await isUpTo(second, 'notes', 4)
  expect((await heldIn(second, 'notes')).slice(0, 3)).toEqual(['a', 'b', 'c'])
})

test('[STO-11] what may be in the log already is left out unless asked for, what is no such file is refused', async () => {
  const core = await openStoredCore({ replica: newReplica() })
  await core.enqueue(writeOf('notes', ['a']))
  const text = await (await exportOutbox(core, 0)).text()
  const doubtful = new Blob([text.replaceAll('"pending"', '"in-flight"')])
  const other = await openStoredCore({ replica: newReplica() })
  expect(await importOutbox(other, doubtful)).toEqual({ imported: 0, known: 0, doubtful: 1 })
  expect(await importOutbox(other, doubtful, { alsoUnknown: true })).toMatchObject({ imported: 1 })
  for (const wrong of ['', 'no json', '{"format":"ottla-outbox","version":3}', `${text}{"id":5}`]) {
    await expect(importOutbox(other, new Blob([wrong]))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  }
  const third = await openStoredCore({ replica: newReplica() })
  for (const end of ['AAAAAAAA"}', '*"}']) {
    const broken = text.replace(/.{8}"\}\n$/, end)
    await expect(importOutbox(third, new Blob([broken]))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  }
  expect(third.status().outbox.pendingEntries).toBe(0)
})
