/** What an Apache Kafka is asked for and has not: it can be administered from here, and no more. */
import { OttlaError } from './errors.ts'

export function needsRelay(what: string): OttlaError {
  return new OttlaError('UNSUPPORTED', {
    message: `${what} needs a relay, and this is an Apache Kafka`,
    hint: 'connect to a relay, or use a Kafka client; administration works here too',
  })
}
