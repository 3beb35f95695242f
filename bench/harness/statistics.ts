/** Medians, spreads, and comparisons paired by round. */
import type { Aim, Run } from './scenario.ts'

export interface Summary {
  median: number
  min: number
  max: number
  count: number
}

export function summarize(values: readonly number[]): Summary | undefined {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b)
  if (sorted.length === 0) return undefined
  const middle = sorted.length >> 1
  const median = sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, min: sorted[0]!, max: sorted[sorted.length - 1]!, count: sorted.length }
}

export function metricOf(runs: readonly Run[], contender: string, metric: string): Summary | undefined {
  return summarize(runs.filter((run) => run.contender === contender).map((run) => run.metrics[metric] ?? Number.NaN))
}

/** The value, ratio or difference that an aim speaks of, one per round in which it could be measured. */
export function measureAim(runs: readonly Run[], aim: Aim): Summary | undefined {
  if (aim.to === undefined) return metricOf(runs, aim.of, aim.metric)
  const values: number[] = []
  for (const run of runs) {
    const other = runs.find((candidate) => candidate.contender === aim.to && candidate.round === run.round)
    if (run.contender !== aim.of || !other) continue
    const ours = run.metrics[aim.metric] ?? Number.NaN
    const theirs = other.metrics[aim.metric] ?? Number.NaN
    values.push(aim.as === 'difference' ? ours - theirs : ours / theirs)
  }
  return summarize(values)
}

export function aimIsMet(aim: Aim, measured: Summary | undefined): boolean | undefined {
  if (!measured) return undefined
  if (aim.atMost !== undefined) return measured.median <= aim.atMost
  if (aim.atLeast !== undefined) return measured.median >= aim.atLeast
  if (aim.below !== undefined) return measured.median < aim.below
  return undefined
}
