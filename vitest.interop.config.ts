import { defineConfig } from 'vitest/config'

/** Every client, also those from Maven Central and the Go module proxy. A whole run writes docs/COMPATIBILITY.md. */
export default defineConfig({
  test: {
    include: ['test/interop/**/*.{test,interop}.ts'],
    globalSetup: ['test/interop/support/install.ts'],
    reporters: ['default', './test/interop/support/compatibility-page.ts'],
    testTimeout: 120_000,
    hookTimeout: 600_000,
    maxWorkers: 2,
    pool: 'forks',
  },
})
