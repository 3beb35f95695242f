/**
 * `npm run test:simulation -- [options]`: many seeds, or one to look at.
 *
 *   --seeds N     how many (10,000)       --first N    the first of them (1)
 *   --twice N     how many run twice (50) --workers N  processes' worth of work at a time (one for each core)
 *   --seed N      one seed, with everything that happened in it
 *   --budget S    ends after so many seconds, with what has run by then
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { isMainThread } from 'node:worker_threads'
import { Campaign } from './campaign.ts'
import { PAST_SEEDS } from './past-seeds.ts'
import { missingProbes } from './required-probes.ts'
import { serveSeeds } from './seed-worker.ts'
import { simulate } from './simulation.ts'

const SHOWN_MAX = 5

if (isMainThread) process.exitCode = await main()
else serveSeeds()

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: Object.fromEntries(
      ['seeds', 'first', 'twice', 'workers', 'seed', 'budget'].map((name) => [name, { type: 'string' as const }]),
    ),
  })
  const number = (name: string, otherwise: number) => (values[name] === undefined ? otherwise : Number(values[name]))
  if (values.seed !== undefined) return await replay(number('seed', 1))
  return await runMany({
    first: number('first', 1),
    count: number('seeds', 10_000),
    twice: number('twice', 50),
    workers: number('workers', availableParallelism()),
    budgetMs: number('budget', Number.POSITIVE_INFINITY) * 1_000,
  })
}

async function replay(seed: number): Promise<number> {
  const { lines, faults, hash, events, virtualMs } = await simulate(seed, { keepsLines: true })
  console.log(lines.join('\n'))
  console.log(`seed ${seed}: ${events} events in ${(virtualMs / 1_000).toFixed(1)} virtual seconds, trace ${hash}`)
  for (const fault of faults) console.log(`FAULT ${fault}`)
  return faults.length === 0 ? 0 : 1
}

interface Plan {
  first: number
  count: number
  twice: number
  workers: number
  budgetMs: number
}

async function runMany({ first, count, twice, workers, budgetMs }: Plan): Promise<number> {
  const seeds = Array.from({ length: count }, (_, index) => first + index)
  const past = PAST_SEEDS.map(({ seed }) => seed).filter((seed) => seed < first || seed >= first + count)
  const campaign = new Campaign({ seeds: [...past, ...seeds], twice: seeds.slice(0, twice), workers, budgetMs })
  const result = await campaign.run((line) => console.log(line))
  const missing = result.isWhole ? missingProbes(result.probes) : []
  for (const { seed, faults } of result.failures.slice(0, SHOWN_MAX)) {
    console.log(`seed ${seed}: ${faults.slice(0, SHOWN_MAX).join('\n  ')}`)
    console.log(`  to see all of it: npm run test:simulation -- --seed ${seed}`)
  }
  if (result.failures.length > SHOWN_MAX) {
    console.log(
      `also failed: ${result.failures
        .slice(SHOWN_MAX)
        .map(({ seed }) => seed)
        .join(' ')}`,
    )
  }
  for (const probe of missing) console.log(`never reached: ${probe}`)
  for (const [probe, times] of [...result.probes].sort()) console.log(`  ${String(times).padStart(8)}  ${probe}`)
  console.log(result.summary)
  return result.failures.length === 0 && missing.length === 0 ? 0 : 1
}
