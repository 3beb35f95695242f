import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ERRORS } from '../../client/errors.ts'

test('docs/ERRORS.md lists every code with what to do about it', () => {
  const page = readFileSync(new URL('../../docs/ERRORS.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `(\w+)` \| (yes|no) \| (.*) \|$/gm)].map(([, code, retriable, hint]) => [
    code,
    retriable === 'yes',
    hint,
  ])
  expect(rows).toEqual(Object.entries(ERRORS).map(([code, { retriable, hint }]) => [code, retriable, hint]))
})
