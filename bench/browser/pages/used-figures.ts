import { BURST_WRITES } from './contract.ts'
import { percentile } from './percentile.ts'

interface Used {
  firstRecordMs: number
  seeks: readonly number[]
  replayRecordsPerS: number
  lone: readonly number[]
  burst: readonly number[]
}

/** What everybody tells of a store in use. */
export const usedFigures = ({ firstRecordMs, seeks, replayRecordsPerS, lone, burst }: Used) => ({
  firstRecordMs,
  seekP50Ms: percentile(seeks, 0.5),
  seekP99Ms: percentile(seeks, 0.99),
  replayRecordsPerS,
  storedP50Ms: percentile(lone, 0.5),
  storedP99Ms: percentile(lone, 0.99),
  burstWritesPerS: (BURST_WRITES / percentile(burst, 0.5)) * 1_000,
})
