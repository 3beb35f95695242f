import { defineConfig } from 'vitest/config'
import { LongFirst } from './test/support/long-first.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    // For what hangs, not for what is slow beside others.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores. The third worker has what the others leave while they wait for timers, disks and browsers: it begins with
    // the simulation, which runs at the lowest priority. More would only make real-time deadlines noisier.
    maxWorkers: 3,
    sequence: { sequencer: LongFirst },
    pool: 'forks',
  },
})
