import { defineConfig } from 'vitest/config'

/** Real file systems whose power is cut: needs root and loop devices, see test/power/loop-disk.ts. */
export default defineConfig({
  test: {
    include: ['test/power/**/*.power.ts'],
    globalSetup: ['test/support/build.ts'],
    testTimeout: 3_600_000,
    hookTimeout: 60_000,
    maxWorkers: 1,
    pool: 'forks',
  },
})
