/**
 * Finds the names that a regular expression matches, a little in each turn: an expression that takes long does not hold up
 * anybody but those who use it, and of these all get on.
 */
import { KafkaError } from '../../protocol/errors.ts'
import { NamePattern, PatternError, type Walk } from './name-pattern.ts'

/** A few milliseconds. Most expressions are through with all names in less. */
const STEPS_PER_TURN = 100_000

interface Job {
  pattern: NamePattern
  names: Iterator<string>
  /** The name that is being looked at. */
  walk: Walk | undefined
  isWanted: (name: string) => boolean
  matched: string[]
  onDone: () => void
  onFailed: (error: unknown) => void
}

export class NameSelector {
  readonly #nextTurn: (run: () => void) => void
  /** Each has its turn after all others. */
  readonly #jobs: Job[] = []
  #isRunning = false

  constructor(nextTurn: (run: () => void) => void = setImmediate) {
    this.#nextTurn = nextTurn
  }

  /** Those of the names that match and are wanted, in their order. Rejects with KafkaError INVALID_REGULAR_EXPRESSION. */
  async select(
    regex: string,
    names: readonly string[],
    isWanted: (name: string) => boolean = () => true,
  ): Promise<string[]> {
    const pattern = compile(regex)
    const matched: string[] = []
    await new Promise<void>((onDone, onFailed) => {
      this.#jobs.push({ pattern, names: names.values(), walk: undefined, isWanted, matched, onDone, onFailed })
      if (!this.#isRunning) this.#run()
    })
    return matched
  }

  #run(): void {
    this.#isRunning = true
    for (let stepsLeft = STEPS_PER_TURN; stepsLeft > 0; ) {
      const job = this.#jobs.shift()
      if (!job) {
        this.#isRunning = false
        return
      }
      try {
        stepsLeft = advance(job, stepsLeft)
      } catch (error) {
        job.onFailed(error)
        continue
      }
      if (stepsLeft <= 0) this.#jobs.push(job)
      else job.onDone()
    }
    this.#nextTurn(() => this.#run())
  }
}

/** What is left of the steps; none when there may be more to do. */
function advance(job: Job, steps: number): number {
  const { pattern, names, isWanted, matched } = job
  let stepsLeft = steps
  while (stepsLeft > 0) {
    if (!job.walk) {
      const { done, value: name } = names.next()
      if (done) return stepsLeft
      job.walk = pattern.walk(name)
    }
    const { walk } = job
    stepsLeft -= pattern.size * (walk.advance(Math.ceil(stepsLeft / pattern.size)) + 1)
    if (!walk.isOver) continue
    if (walk.isMatch && isWanted(walk.name)) matched.push(walk.name)
    job.walk = undefined
  }
  return stepsLeft
}

function compile(regex: string): NamePattern {
  try {
    return new NamePattern(regex)
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    const message = `${regex.slice(0, 100)} cannot be used as a regular expression: ${error.message}`
    throw new KafkaError('INVALID_REGULAR_EXPRESSION', message, { cause: error })
  }
}
