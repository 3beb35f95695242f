/** The arithmetic behind bench/RESULTS.md. */
import { expect, test } from 'vitest'
import type { Aim, Run } from '../../bench/harness/scenario.ts'
import { aimIsMet, measureAim, metricOf, summarize } from '../../bench/harness/statistics.ts'

const run = (contender: string, round: number, rate: number): Run => ({ contender, round, metrics: { rate } })

test('a summary is median and range, without values that could not be measured', () => {
  expect(summarize([3, Number.NaN, 1, 2])).toEqual({ median: 2, min: 1, max: 3, count: 3 })
  expect(summarize([1, 2])).toEqual({ median: 1.5, min: 1, max: 2, count: 2 })
  expect(summarize([])).toBeUndefined()
})

test('ratios are taken within a round, so that a machine that drifts between rounds does not enter them', () => {
  const runs = [run('ours', 0, 100), run('peer', 0, 10), run('peer', 1, 50), run('ours', 1, 500), run('ours', 2, 7)]
  const aim: Aim = { text: '', metric: 'rate', of: 'ours', to: 'peer', atLeast: 10 }
  expect(measureAim(runs, aim)).toEqual({ median: 10, min: 10, max: 10, count: 2 })
  expect(aimIsMet(aim, measureAim(runs, aim))).toBe(true)
  expect(measureAim(runs, { ...aim, as: 'difference' })?.median).toBe((90 + 450) / 2)
})

test('an aim without a peer holds the value itself, and an aim that was not measured is neither met nor missed', () => {
  const runs = [run('ours', 0, 90)]
  const aim: Aim = { text: '', metric: 'rate', of: 'ours', below: 90 }
  expect(aimIsMet(aim, measureAim(runs, aim))).toBe(false)
  expect(aimIsMet({ ...aim, below: undefined, atMost: 90 }, measureAim(runs, aim))).toBe(true)
  expect(aimIsMet(aim, measureAim([], aim))).toBeUndefined()
  expect(metricOf(runs, 'ours', 'other')).toBeUndefined()
})
