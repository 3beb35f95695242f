/** Browsers of each engine, and relays under them, killed under traffic from two tabs and a worker. */
import { describe, expect, test } from 'vitest'
import { suiteSeed } from '../support/suite-seed.ts'
import { ENGINES } from './engine/recipes.ts'
import { runBrowserKills } from './kill-run.ts'

/** `npm run test:browser-kills` does 200 and 100. */
const BROWSER_KILLS = Number(process.env.OTTLA_BROWSER_KILLS ?? 3)
const RELAY_KILLS = Number(process.env.OTTLA_RELAY_KILLS ?? 2)
const SEED = suiteSeed('OTTLA_KILLS_SEED')
const KILL_MS_MAX = 30_000

describe.each(ENGINES)('%s', (engine) => {
  test(
    `[WRK-26] ${BROWSER_KILLS} kills of the browser and ${RELAY_KILLS} of the relay under traffic from two tabs and a worker: what was stored is there once, in order`,
    async () => {
      console.log(`kills of ${engine}: seed ${SEED}`)
      const plan = { engine, browserKills: BROWSER_KILLS, relayKills: RELAY_KILLS, seed: SEED }
      const { report, journal, log, read, left, troubles } = await runBrowserKills(plan)
      const { stored, committed } = journal
      console.log(
        `kills of ${engine}: ${stored} stored, ${committed} heard to be committed, ${log.flat().length} in the log`,
      )
      expect(journal.complaints).toEqual([])
      expect(report.anomalies.slice(0, 10).map(({ kind, text }) => `${kind}: ${text}`)).toEqual([])
      expect(report.isComplete).toBe(true)
      expect(left, 'left in the outbox').toEqual([])
      expect(read.toSorted(), 'what a tab reads').toEqual(log.flat().toSorted())
      expect(troubles).toEqual([])
      expect(stored).toBeGreaterThan((BROWSER_KILLS + RELAY_KILLS) * 5)
    },
    60_000 + (BROWSER_KILLS + RELAY_KILLS) * KILL_MS_MAX,
  )
})
