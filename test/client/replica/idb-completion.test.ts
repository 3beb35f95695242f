import 'fake-indexeddb/auto'
import { openDB, unwrap } from 'idb'
import { expect, test } from 'vitest'
import { completionOf } from '../../../client/replica/idb-completion.ts'

test('[STO-1] a transaction fails of what its request failed of, be it told of that at its end only', async () => {
  const database = await openDB('completion', 1, { upgrade: (made) => void made.createObjectStore('rows') })
  const transaction = (unwrap(database) as IDBDatabase).transaction('rows', 'readwrite')
  const seen: unknown[] = []
  transaction.addEventListener('error', () => seen.push(transaction.error))
  const completion = completionOf(transaction)
  for (const value of ['first', 'second']) transaction.objectStore('rows').add(value, 'key')
  await expect(completion).rejects.toMatchObject({ name: 'ConstraintError' })
  // Asked when the request has failed, it does not know: in Firefox that goes for a full quota.
  expect(seen).toEqual([null])
  database.close()
})
