/** What a browser takes beyond its idle page while work goes on, and whether it grows with the work. */
import type { Metrics } from '../harness/scenario.ts'
import { summarize } from '../harness/statistics.ts'
import type { Browser } from './browser.ts'

const SAMPLE_EVERY_MS = 200

/** `addedMib`: the peak. `grownMib`: the median of the second half of the time beyond that of the first; garbage comes and goes. */
export async function memoryDuring(browser: Browser, work: () => Promise<unknown>): Promise<Metrics> {
  const baseMib = browser.memoryMib()
  const samples: number[] = []
  const sample = () => samples.push(browser.memoryMib() - baseMib)
  const timer = setInterval(sample, SAMPLE_EVERY_MS)
  try {
    await work()
    sample()
  } finally {
    clearInterval(timer)
  }
  const middle = samples.length >> 1
  const [early, late] = [samples.slice(0, middle), samples.slice(middle)].map((half) => summarize(half)?.median ?? 0)
  return { addedMib: Math.max(0, ...samples), grownMib: late! - early! }
}
