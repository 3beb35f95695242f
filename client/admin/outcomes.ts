/**
 * What became of each entry of a call that names several: topics, groups, partitions.
 *
 * A call that names several may succeed for some and fail for others, as Kafka's futures per key do. Awaited, it gives
 * all values or throws; `settled()` gives every entry its value or its error, and never throws for one of them.
 */
import { errorName } from '../../protocol/errors.ts'
import { OttlaError } from '../errors.ts'
import { type GroupErrorCode, groupError } from '../group/errors.ts'
import { kafkaFailure } from '../kafka-failure.ts'

export type Outcome<E, V> =
  | { readonly entry: E; readonly value: V; readonly error?: undefined }
  | { readonly entry: E; readonly error: OttlaError; readonly value?: undefined }

export type PerEntry<E, V, All = V[]> = Promise<All> & {
  /** In the order in which the call named them. */
  settled(): Promise<Array<Outcome<E, V>>>
}

export function perEntry<E, V>(outcomes: Promise<Array<Outcome<E, V>>>): PerEntry<E, V>
export function perEntry<E, V, All>(
  outcomes: Promise<Array<Outcome<E, V>>>,
  gather: (values: V[]) => All,
): PerEntry<E, V, All>
export function perEntry<E, V>(
  outcomes: Promise<Array<Outcome<E, V>>>,
  gather: (values: V[]) => unknown = (values) => values,
): PerEntry<E, V, unknown> {
  const all = outcomes.then((settled) => gather(valuesOf(settled)))
  return Object.assign(all, {
    settled() {
      // Who asks for each is not told of all.
      all.catch(() => {})
      return outcomes
    },
  })
}

/** The values; the only failure as it is, several as the first with all of them as an AggregateError in its cause. */
export function valuesOf<E, V>(outcomes: ReadonlyArray<Outcome<E, V>>): V[] {
  const failures = new Set<OttlaError>()
  const values: V[] = []
  for (const outcome of outcomes) {
    if (outcome.error) failures.add(outcome.error)
    else values.push(outcome.value)
  }
  const [first] = failures
  if (!first) return values
  if (failures.size === 1) throw first
  throw new OttlaError(first.code, {
    message: `${first.message} (and ${failures.size - 1} more)`,
    hint: first.hint,
    retriable: [...failures].every(({ retriable }) => retriable),
    ...(first.kafkaCode === undefined ? {} : { kafkaCode: first.kafkaCode }),
    cause: new AggregateError(failures),
  })
}

const GROUP_CODES: Readonly<Record<number, GroupErrorCode>> = { 68: 'GROUP_NOT_EMPTY', 69: 'UNKNOWN_GROUP' }

/** `what` says what was tried, on what; without a text of the broker's the code's own name is told. */
export function adminFailure(kafkaCode: number, what: string, brokerMessage?: string | null): OttlaError {
  const failure = kafkaFailure(kafkaCode, what, brokerMessage || errorName(kafkaCode))
  const code = GROUP_CODES[kafkaCode]
  return code ? groupError(code, { message: failure.message, kafkaCode }) : failure
}
