/**
 * Rare branches, counted. A fault counts only when it happened, and a simulation that never comes by a branch proves
 * nothing about it: after many seeds each of these must have been reached.
 */
export class Probes {
  readonly counts = new Map<string, number>()

  reached(name: string, times = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + times)
  }

  addAll(others: Iterable<readonly [string, number]>): void {
    for (const [name, count] of others) this.reached(name, count)
  }
}
