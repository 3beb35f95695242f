/** Chance, from the seed alone. Each part of a world throws dice of its own, so that one more throw here moves nothing there. */
import { type Random, randomBelow, seededRandom } from '../../../protocol/lib/random.ts'

export class Dice implements Random {
  readonly #seed: number
  readonly #random: Random

  constructor(seed: number) {
    this.#seed = seed
    this.#random = seededRandom(seed)
  }

  /** Others, that depend on the seed and the name only. */
  fork(name: string): Dice {
    let hash = this.#seed ^ 0x9e3779b9
    for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193)
    return new Dice(hash >>> 0)
  }

  next(): number {
    return this.#random.next()
  }

  bytes(count: number): Uint8Array {
    return this.#random.bytes(count)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return randomBelow(this.#random, bound)
  }

  /** An integer in [low, high]. */
  whole(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** A real number in [low, high). */
  between(low: number, high: number): number {
    return low + this.next() * (high - low)
  }

  /** Mostly near `low`, seldom near `high`: latencies, sizes. Both above 0. */
  skewed(low: number, high: number): number {
    return low * (high / low) ** (this.next() ** 3)
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  shuffled<T>(list: readonly T[]): T[] {
    const result = [...list]
    for (let index = result.length - 1; index > 0; index--) {
      const other = this.below(index + 1)
      ;[result[index], result[other]] = [result[other]!, result[index]!]
    }
    return result
  }
}
