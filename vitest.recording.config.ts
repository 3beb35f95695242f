import { defineConfig } from 'vitest/config'

/** `npm run record-requests`: every client goes through its scenarios, and what it sends becomes test/fixtures/requests. */
export default defineConfig({
  test: {
    include: [
      'test/interop/**/*.{test,interop}.ts',
      'test/client/relay-integration.test.ts',
      'test/client/replica/local-core.test.ts',
    ],
    globalSetup: ['test/interop/support/install.ts', 'test/fuzz/recording/collect.ts'],
    setupFiles: ['test/fuzz/recording/recorder.ts'],
    testTimeout: 120_000,
    hookTimeout: 600_000,
    maxWorkers: 2,
    pool: 'forks',
  },
})
