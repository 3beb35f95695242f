/**
 * Numbers for the connections of one replica, each higher than the one before, over restarts too: the wall clock, and one
 * more than the last where that stands still or went back.
 */
import type { Clock } from '../protocol/lib/clock.ts'

export function generationCounter(clock: Pick<Clock, 'now'>, last = 0): () => number {
  let generation = last
  return () => {
    generation = Math.max(generation + 1, clock.now())
    return generation
  }
}
