/** What a test says about a client, for the table in docs/COMPATIBILITY.md. */
import { type TestContext, test } from 'vitest'

export const FEATURES = [
  'produce',
  'consume',
  'gzip',
  'snappy',
  'lz4',
  'zstd',
  'idempotent',
  'transactions',
  'admin',
  'classic groups',
  'KIP-848 groups',
  'share groups',
  'streams groups',
] as const
export type Feature = (typeof FEATURES)[number]

export interface Compatibility {
  client: string
  version: string
  feature: Feature
  /** Why the client does not have it, or the relay has not. Without one the feature works. */
  reason?: string
}

declare module 'vitest' {
  interface TaskMeta {
    compatibility?: Compatibility[]
  }
}

/** The features that a test has shown count when it passes. */
export type Show = (version: string, ...features: Array<Feature | [Feature, reason: string]>) => void

export function clientTest(
  client: string,
  title: string,
  run: (show: Show, context: TestContext) => Promise<void>,
  timeoutMs = 60_000,
): void {
  test(
    `[KAF-20] ${client}: ${title}`,
    async (context) => {
      const shown: Compatibility[] = []
      context.task.meta.compatibility = shown
      const show: Show = (version, ...features) => {
        for (const each of features) {
          const [feature, reason] = typeof each === 'string' ? [each] : each
          shown.push({ client, version, feature, ...(reason === undefined ? {} : { reason }) })
        }
      }
      await run(show, context)
    },
    timeoutMs,
  )
}
