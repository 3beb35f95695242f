/**
 * Finds the topics that a regular expression matches, a little in each turn: an expression that takes long does not hold
 * up anybody but those who use it, and of these all get on.
 */
import { KafkaError } from '../../../../protocol/errors.ts'
import type { ResolvedPattern } from '../consumer-state.ts'
import type { TopicCatalog } from '../topics.ts'
import { PatternError, TopicPattern } from './topic-pattern.ts'

/** A few milliseconds. Most expressions are through with all topics in less. */
const STEPS_PER_TURN = 100_000

interface Job {
  pattern: TopicPattern
  names: Iterator<string>
  isVisible: (topic: string) => boolean
  matched: string[]
  onDone: () => void
  onFailed: (error: unknown) => void
}

export class PatternResolver {
  readonly #topics: TopicCatalog
  readonly #nextTurn: (run: () => void) => void
  /** Each has its turn after all others. */
  readonly #jobs: Job[] = []
  #isRunning = false

  constructor(topics: TopicCatalog, nextTurn: (run: () => void) => void = setImmediate) {
    this.#topics = topics
    this.#nextTurn = nextTurn
  }

  /** Only topics that are visible to whoever asks. Rejects with KafkaError INVALID_REGULAR_EXPRESSION. */
  async resolve(regex: string, isVisible: (topic: string) => boolean): Promise<ResolvedPattern> {
    const pattern = compile(regex)
    const { topicsVersion } = this.#topics
    const names = [...this.#topics.topics()].map(({ name }) => name)
    const matched: string[] = []
    await new Promise<void>((onDone, onFailed) => {
      this.#jobs.push({ pattern, names: names.values(), isVisible, matched, onDone, onFailed })
      if (!this.#isRunning) this.#run()
    })
    return { regex, names: matched.sort(), topicsVersion }
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
function advance({ pattern, names, isVisible, matched }: Job, steps: number): number {
  let stepsLeft = steps
  while (stepsLeft > 0) {
    const { done, value: name } = names.next()
    if (done) return stepsLeft
    stepsLeft -= (name.length + 1) * pattern.size
    if (pattern.matches(name) && isVisible(name)) matched.push(name)
  }
  return stepsLeft
}

function compile(regex: string): TopicPattern {
  try {
    return new TopicPattern(regex)
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    const message = `${regex.slice(0, 100)} cannot be used as a regular expression: ${error.message}`
    throw new KafkaError('INVALID_REGULAR_EXPRESSION', message, { cause: error })
  }
}
