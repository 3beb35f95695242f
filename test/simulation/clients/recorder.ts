/** Writes the history down. Operations without an answer are written too: whoever began one asks `open` for it. */
import type { Operation, Span } from '../../checker/history.ts'
import type { World } from '../world/world.ts'

export class Recorder {
  readonly operations: Operation[] = []
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  get now(): number {
    return this.#world.scheduler.now
  }

  /** In the history from now on; the caller fills in what comes of it. */
  open<O extends Operation & Span>(operation: Omit<O, 'at' | 'until'>): O {
    const opened = Object.assign(operation, { at: this.now, until: null }) as unknown as O
    this.operations.push(opened)
    return opened
  }

  close<O extends Operation & Span>(operation: O, outcome: Partial<O> = {}): void {
    Object.assign(operation, outcome, { until: this.now })
    this.#world.trace.add(operation.process, briefly(operation))
  }

  /** At once what it is; `at` when it was begun before. */
  note<O extends Operation & Span>(operation: Omit<O, 'at' | 'until'>, at = this.now): void {
    const noted = this.open<O>(operation)
    noted.at = at
    this.close(noted)
  }
}

function briefly(operation: Operation): string {
  if (operation.op === 'send') {
    const { topic, partition, values, outcome, places } = operation
    return `send ${topic}-${partition} ${values[0]}+${values.length - 1}: ${outcome} ${places?.[0]?.offset ?? ''}`
  }
  if (operation.op === 'read') {
    const { topic, partition, from, next, jump, records } = operation
    return `read ${topic}-${partition} ${jump ?? ''} [${from}, ${next}) ${records.map(([, value]) => value).join(' ')}`
  }
  return JSON.stringify(operation)
}
