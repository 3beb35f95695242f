/** The history that the actors of a run write together, in the form that the checker reads. */
import type { Operation, Span } from '../../checker/history.ts'

export class Journal {
  readonly operations: Operation[] = []

  get now(): number {
    return performance.now()
  }

  /** In the history from now on, without an answer; the caller fills in what comes of it. */
  open<O extends Operation & Span>(operation: Omit<O, 'at' | 'until'>): O {
    const opened = { ...operation, at: this.now, until: null } as unknown as O
    this.operations.push(opened)
    return opened
  }

  close<O extends Operation & Span>(operation: O, outcome: Partial<O> = {}): void {
    Object.assign(operation, outcome, { until: this.now })
  }
}
