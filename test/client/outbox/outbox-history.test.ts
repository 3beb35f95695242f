import { expect, test } from 'vitest'
import { History, type Tally } from './history.ts'

const SEEDS = Number(process.env.OTTLA_SEEDS ?? 300)
const FIRST_SEED = Number(process.env.OTTLA_FIRST_SEED ?? 1)
const STEPS = 500

test(`[OUT-6] [TXN-75] every stored write is in the log exactly once and in order, transactions whole or not at all, over ${SEEDS} random histories`, async () => {
  const tally: Tally = {
    crashes: 0,
    powerCuts: 0,
    cuts: 0,
    refusals: 0,
    duplicates: 0,
    takeovers: 0,
    splits: 0,
    timeouts: 0,
    transactions: 0,
    aborts: 0,
    expired: 0,
  }
  const startedAt = performance.now()
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    await new History(seed, tally).run(STEPS)
  }
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
  console.log(`seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1} in ${seconds} s: ${JSON.stringify(tally)}`)
  // A run counts only if the faults happened.
  for (const count of Object.values(tally)) expect(count).toBeGreaterThan(0)
}, 120_000)
