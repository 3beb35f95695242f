/** Names for members of classic groups, as Kafka makes them: who it is, then what nobody else has. */
import type { Random } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'

/** Enough to tell members apart by eye. An id goes back in answers, where a text has at most 32,767 bytes. */
const NAME_LENGTH_MAX = 1_000

/** Of a character that takes two, the first alone: no text on the wire could tell it. */
const HALF_AT_END = /[\uD800-\uDBFF]$/

/** `name`: of the instance, or the client. */
export const memberIdFor = (name: string, random: Random): string =>
  `${name.slice(0, NAME_LENGTH_MAX).replace(HALF_AT_END, '')}-${randomUuid(random)}`
