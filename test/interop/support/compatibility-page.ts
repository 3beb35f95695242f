/**
 * Writes docs/COMPATIBILITY.md from what the tests have shown: when each test file has passed as a whole, in this run or in
 * one before. A table in which parts are missing would say something wrong.
 */
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Reporter, TestModule, Vitest } from 'vitest/node'
import type { Compatibility, Feature } from './compatibility.ts'
import { FEATURES } from './compatibility.ts'
import { ShownFiles } from './shown-files.ts'

const PAGE = new URL('../../../docs/COMPATIBILITY.md', import.meta.url)
const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const SHOWN = fileURLToPath(new URL('../../../.cache/compatibility', import.meta.url))

export default class CompatibilityPage implements Reporter {
  #vitest!: Vitest

  onInit(vitest: Vitest): void {
    this.#vitest = vitest
  }

  async onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): Promise<void> {
    // With single tests picked out (-t) no file has run as a whole.
    if (this.#vitest.config.testNamePattern) return
    const files = new ShownFiles(SHOWN)
    for (const module of modules) {
      const tests = [...module.children.allTests()]
      const isWhole = module.ok() && tests.every((test) => test.result().state === 'passed')
      if (isWhole && errors.length === 0)
        files.keep(
          pathOf(module.moduleId),
          tests.flatMap((test) => test.meta().compatibility ?? []),
        )
      else files.forget(pathOf(module.moduleId))
    }
    const all = await this.#vitest.globTestSpecifications()
    const { shown, missing } = files.of(all.map(({ moduleId }) => pathOf(moduleId)).sort())
    if (missing.length > 0) {
      console.log(`docs/COMPATIBILITY.md is left as it is until these pass as well: ${missing.join(', ')}`)
      return
    }
    writeFileSync(PAGE, pageOf(shown))
    console.log('docs/COMPATIBILITY.md written')
  }
}

const pathOf = (moduleId: string) => relative(ROOT, moduleId)

export function pageOf(shown: readonly Compatibility[]): string {
  const rows = new Map<string, Map<Feature, Compatibility>>()
  for (const each of shown) {
    const name = `${each.client} ${each.version}`
    const row = rows.get(name) ?? new Map<Feature, Compatibility>()
    // What works in one test and is missing in another is missing.
    if (each.reason !== undefined || !row.has(each.feature)) row.set(each.feature, each)
    rows.set(name, row)
  }
  const notes: string[] = []
  const cell = (found: Compatibility | undefined) => {
    if (!found) return ''
    if (found.reason === undefined) return 'yes'
    if (!notes.includes(found.reason)) notes.push(found.reason)
    return `no (${notes.indexOf(found.reason) + 1})`
  }
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const table = [...rows]
    .sort(([a], [b]) => a.localeCompare(b, 'en'))
    .map(([name, row]) => line([name, ...FEATURES.map((feature) => cell(row.get(feature)))]))
  return [
    ...INTRODUCTION,
    line(['client', ...FEATURES]),
    line(['---', ...FEATURES.map(() => '---')]),
    ...table,
    '',
    ...notes.map((note, index) => `${index + 1}. ${note}`),
    '',
    ...NOT_SERVED,
  ].join('\n')
}

const INTRODUCTION = [
  '# Kafka clients that work with Ottla',
  '',
  'Written by `npm run test:interop`, which runs each client, unmodified, against a relay, and compares what it writes and',
  "reads with Ottla's own client over WebSocket: keys, values, headers, timestamps and offsets, with null and empty ones.",
  'An empty cell is a feature that the tests of that client do not touch.',
  '',
]

const NOT_SERVED = [
  '## What no client gets',
  '',
  '| feature | what a client sees | why |',
  '| --- | --- | --- |',
  '| quotas | none are listed; setting one is refused with UNSUPPORTED_VERSION | not built |',
  '| SASL by GSSAPI | UNSUPPORTED_SASL_MECHANISM | PLAIN, SCRAM and OAUTHBEARER are served |',
  '| TLS | the connection is closed, and the relay logs why | put a proxy in front that ends TLS |',
  '| fetch sessions | session 0, so each fetch names its partitions | clients go on without; nothing is lost but a few bytes |',
  '| client telemetry | not announced; clients do without | not built |',
  '| delegation tokens | not announced | SCRAM users and OAUTHBEARER tokens are served |',
  '| two-phase commit (KIP-939) | InitProducerId ends at version 5 | not built |',
  '| standby tasks of Kafka Streams | `streams.num.standby.replicas` is refused with INVALID_CONFIG | not built; a task that moves reads its changelog |',
  '| message formats 0 and 1 | INVALID_RECORD | every client since Kafka 0.11 writes format 2 |',
  '',
]
