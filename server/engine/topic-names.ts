/** Which names a topic may have: Kafka's rules, so that a name that works here works there. */
import { KafkaError } from '../../protocol/errors.ts'

const TOPIC_NAME_CHARS_MAX = 249
/** Kafka's own; other names that begin with "__" belong to whoever wants them (Debezium's heartbeats, for one). */
const INTERNAL: ReadonlySet<string> = new Set([
  '__consumer_offsets',
  '__transaction_state',
  '__share_group_state',
  '__cluster_metadata',
])
const LEGAL = /^[a-zA-Z0-9._-]+$/

/** Throws INVALID_TOPIC_EXCEPTION with the reason. */
export function checkTopicName(name: string): void {
  const reason = faultOf(name)
  if (reason)
    throw new KafkaError('INVALID_TOPIC_EXCEPTION', `"${name.slice(0, 80)}" cannot be a topic's name: ${reason}`)
}

export function isTopicName(name: string): boolean {
  return faultOf(name) === undefined
}

function faultOf(name: string): string | undefined {
  if (name.length === 0) return 'it is empty'
  if (name === '.' || name === '..') return 'it means a folder'
  if (name.length > TOPIC_NAME_CHARS_MAX)
    return `it has ${name.length} characters, at most ${TOPIC_NAME_CHARS_MAX} are allowed`
  if (!LEGAL.test(name)) return 'only letters, digits, ".", "_" and "-" are allowed'
  if (INTERNAL.has(name)) return 'it is the name of an internal topic'
  return undefined
}

/** Names that differ in "." and "_" only share one name in Kafka's metrics, so Kafka refuses the second, and so do we. */
export function collisionKey(name: string): string {
  return name.replaceAll('.', '_')
}
