/** Rules and the tests that hold them name each other. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = new URL('../../', import.meta.url).pathname
const RULE = /\[([A-Z]{2,4}-\d+)\]/g

test('every rule of docs/SPEC.md has a test, and every rule that a test cites is in it', () => {
  const page = readFileSync(join(root, 'docs/SPEC.md'), 'utf8')
  const written = new Set([...page.matchAll(/^- \*\*([A-Z]{2,4}-\d+)\*\*/gm)].map(([, rule]) => rule!))
  const cited = new Set<string>()
  for (const file of readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    for (const [, rule] of readFileSync(join(root, 'test', file), 'utf8').matchAll(RULE)) cited.add(rule!)
  }
  expect([...cited].filter((rule) => !written.has(rule))).toEqual([])
  expect([...written].filter((rule) => !cited.has(rule))).toEqual([])
})
