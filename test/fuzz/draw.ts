/** Drawing from a seeded source: one draw of randomness for each choice, so that a case is the same each time. */
import { type Random, randomBelow, seededRandom } from '../../protocol/lib/random.ts'

export class Draw {
  readonly random: Random

  constructor(random: Random) {
    this.random = random
  }

  /** The `index`th case of a run. Cases don't depend on each other, so that one can be run alone. */
  static forCase(seed: number, index: number): Draw {
    return new Draw(seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)))
  }

  below(bound: number): number {
    return randomBelow(this.random, bound)
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.random.next() < probability
  }

  from<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }

  /** Small numbers are likelier. */
  few(max: number): number {
    return Math.floor(this.random.next() ** 2 * (max + 1))
  }
}
