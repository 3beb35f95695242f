import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DEVICE_ERRORS } from '../../client/device-errors.ts'
import { ERRORS } from '../../client/errors.ts'
import { GROUP_ERRORS } from '../../client/group/errors.ts'
import { OUTBOX_ERRORS } from '../../client/outbox/errors.ts'
import { RELAY_ERRORS } from '../../client/relay-errors.ts'
import { TRANSACTION_ERRORS } from '../../client/transactions/errors.ts'

test('docs/ERRORS.md lists every code with what to do about it', () => {
  const page = readFileSync(new URL('../../docs/ERRORS.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `(\w+)` \| (yes|no) \| (.*) \|$/gm)].map(([, code, retriable, hint]) => [
    code,
    retriable === 'yes',
    hint,
  ])
  const tables = [ERRORS, RELAY_ERRORS, OUTBOX_ERRORS, GROUP_ERRORS, TRANSACTION_ERRORS, DEVICE_ERRORS]
  const all = tables.flatMap((table) => Object.entries(table))
  expect(rows).toEqual(all.map(([code, { retriable, hint }]) => [code, retriable, hint]))
})
