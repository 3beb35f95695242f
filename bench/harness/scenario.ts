/**
 * What a scenario is: contenders that do the same job, what is measured of each, and the aims held against it.
 *
 * Contenders alternate inside every round, in reverse order in odd rounds, and ratios are taken between runs of the
 * same round: the machine's speed drifts between rounds by more than most differences worth knowing.
 */

/** Measured values by name; times in the unit that the name ends with. */
export type Metrics = Record<string, number>

export interface Trial {
  round: number
  /** Short and coarse: for development, never for published figures. */
  quick: boolean
  /** An empty folder on the disk under test, removed after the run. */
  directory: string
}

export interface Contender {
  name: string
  run(trial: Trial): Promise<Metrics>
}

export interface Column {
  metric: string
  title: string
  digits: number
}

/** One sentence of the plan that a figure answers. Exactly one of `atMost`, `atLeast` and `below` is set. */
export interface Aim {
  text: string
  metric: string
  of: string
  /** With `to`: the ratio (or difference) of the two contenders in each round; without: the value itself. */
  to?: string
  as?: 'ratio' | 'difference'
  unit?: string
  atMost?: number
  atLeast?: number
  below?: number
}

export interface Scenario {
  /** Command-line name; a prefix up to a hyphen selects several. */
  name: string
  /** The browser engine that it runs in; `--engine` selects by it. */
  engine?: string
  title: string
  /** How it was measured, in sentences for the report. */
  method: string
  contenders: Contender[]
  columns: Column[]
  aims: Aim[]
  /** Rounds by default, when not the general number. */
  rounds?: number
  /** Runs once before the rounds; what it sets up lives in a folder of its own and is torn down by `finish`. */
  prepare?(trial: Trial): Promise<void>
  finish?(): Promise<void>
}

export interface Run {
  contender: string
  round: number
  metrics: Metrics
}

export interface ScenarioResult {
  scenario: string
  date: string
  commit: string
  quick: boolean
  rounds: number
  machine: Record<string, string>
  runs: Run[]
  failures: string[]
}
