import { defineConfig } from 'vitest/config'

/**
 * The relay beside a real Apache Kafka, answer by answer; and the scenarios of the interop tests, which every client goes
 * through with a relay, with Kafka. Needs a JDK, mvn and go (scripts/setup-interop.sh all).
 */
export default defineConfig({
  test: {
    include: [
      'test/oracle/**/*.oracle.ts',
      'test/interop/{node,python}.test.ts',
      'test/interop/{java-clients,go}.interop.ts',
    ],
    globalSetup: ['test/oracle/support/start-kafka.ts'],
    testTimeout: 120_000,
    hookTimeout: 600_000,
    maxWorkers: 1,
    pool: 'forks',
  },
})
