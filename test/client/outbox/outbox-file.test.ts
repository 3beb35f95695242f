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

test('[STO-10] a write in parts of which an import that was interrupted took some comes back whole', async () => {
  const core = await openStoredCore({ replica: newReplica() })
  await core.enqueue({ ...writeOf('notes', ['a']), id: 'w' })
  await core.enqueue({ ...writeOf('notes', ['b']), id: 'x' })
  const text = await (await exportOutbox(core, 0)).text()
  const file = new Blob([text.replace('"id":"x"', '"id":"w"')])
  const other = await openStoredCore({ replica: newReplica() })
  await other.enqueue({ ...writeOf('notes', ['a']), id: 'w/0' })
  expect(await importOutbox(other, file)).toEqual({ imported: 1, known: 0, doubtful: 0 })
  expect((await other.outbox.list()).map(({ id }) => id)).toEqual(['w/0', 'w/1'])
  expect(await importOutbox(other, file)).toEqual({ imported: 0, known: 1, doubtful: 0 })
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

test('[STO-13] a file under a secret shows nothing of what was written, and comes back with that secret alone, whole', async () => {
  const secret = new Uint8Array(16).fill(7)
  const core = await openStoredCore({ replica: newReplica() })
  for (const value of ['dear diary', 'second thoughts', 'the end']) await core.enqueue(writeOf('notes', [value]))
  const file = await exportOutbox(core, 0, { secret })
  const text = await file.text()
  for (const plain of ['notes', 'diary', btoa('diary').slice(0, 6), 'file-']) expect(text).not.toContain(plain)

  const other = await openStoredCore({ replica: newReplica() })
  await expect(importOutbox(other, file)).rejects.toMatchObject({
    code: 'LOCKED',
    hint: expect.stringContaining('secret'),
  })
  const wrong = importOutbox(other, file, { secret: new Uint8Array(16) })
  await expect(wrong).rejects.toMatchObject({ code: 'LOCKED', hint: expect.stringContaining('secret') })
  const lines = text.trim().split('\n')
  const flipped = lines.map((line, index) => (index === 1 ? `${line.slice(0, -8)}AAAAAAAA` : line))
  const swapped = [lines[0], lines[2], lines[1], ...lines.slice(3)]
  for (const torn of [lines.slice(0, -1), lines.slice(0, 1), lines.toSpliced(2, 1), flipped, swapped]) {
    const damaged = importOutbox(other, new Blob([torn.join('\n')]), { secret })
    await expect(damaged).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  }
  expect(other.status().outbox.pendingEntries).toBe(0)
  expect(await importOutbox(other, file, { secret })).toEqual({ imported: 3, known: 0, doubtful: 0 })
  expect((await other.outbox.list()).map(({ topic }) => topic)).toEqual(['notes', 'notes', 'notes'])

  await expect(exportOutbox(core, 0, {}, true)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(await (await exportOutbox(core, 0, { plain: true }, true)).text()).toContain('notes')
})

test('[STO-14] however large the outbox, it goes into a file and out of it a slice at a time', async () => {
  const core = await openStoredCore({ replica: newReplica() })
  const written = 'x'.repeat(300 * 1024)
  for (let count = 0; count < 12; count++) await core.enqueue(writeOf('notes', [`${count} ${written}`]))
  let largest = 0
  const outbox = {
    ...core.outbox,
    export: async (ids?: readonly string[]) => {
      const entries = await core.outbox.export(ids)
      largest = Math.max(
        largest,
        entries.reduce((sum, { batch }) => sum + batch.length, 0),
      )
      return entries
    },
  }
  const seen = {
    status: () => core.status(),
    outbox,
    enqueue: core.enqueue,
    enqueueTransaction: core.enqueueTransaction,
  }
  const file = await exportOutbox({ ...seen, outcomes: core.outcomes }, 0)
  expect(file.size).toBeGreaterThan(4.6 * 1024 * 1024)
  expect(largest).toBeLessThanOrEqual(1024 * 1024)

  const other = await openStoredCore({ replica: newReplica() })
  const whole = () => Promise.reject(new Error('the file was read whole'))
  const onlyStreamed = Object.assign(file.slice(), { text: whole, arrayBuffer: whole })
  expect(await importOutbox(other, onlyStreamed)).toMatchObject({ imported: 12 })
  await expect(importOutbox(other, new Blob([await file.text(), 'y'.repeat(33 * 1024 * 1024)]))).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  })
})
