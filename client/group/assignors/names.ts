/** Assignors by the names by which an application asks for them. */
import { OttlaError } from '../../errors.ts'
import type { Assignor } from '../assignor.ts'
import { cooperativeSticky } from './cooperative-sticky.ts'
import { range } from './range.ts'
import { roundRobin, roundRobinOfKafkajs } from './round-robin.ts'

const KNOWN: readonly Assignor[] = [cooperativeSticky, range, roundRobin, roundRobinOfKafkajs]

/** Throws INVALID_ARGUMENT for a name that none has, and for none at all. */
export function assignorsOf(chosen: ReadonlyArray<string | Assignor>): Assignor[] {
  const names = KNOWN.map(({ name }) => name).join(', ')
  if (chosen.length === 0) throw new OttlaError('INVALID_ARGUMENT', { message: `no assignors; there are ${names}` })
  return chosen.map((wanted) => {
    const found = typeof wanted === 'string' ? KNOWN.find(({ name }) => name === wanted) : wanted
    if (found) return found
    throw new OttlaError('INVALID_ARGUMENT', { message: `there is no assignor '${wanted}'; there are ${names}` })
  })
}
