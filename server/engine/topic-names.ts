/** Which names a topic may have: Kafka's rules, so that a name that works here works there. */
import { KafkaError } from '../../protocol/errors.ts'

const TOPIC_NAME_CHARS_MAX = 249
const LEGAL = /^[a-zA-Z0-9._-]+$/

/** Throws INVALID_TOPIC_EXCEPTION with the reason. */
export function checkTopicName(name: string): void {
  const reason = faultOf(name)
  if (reason)
    throw new KafkaError('INVALID_TOPIC_EXCEPTION', `"${name.slice(0, 80)}" cannot be a topic's name: ${reason}`)
}

function faultOf(name: string): string | undefined {
  if (name.length === 0) return 'it is empty'
  if (name === '.' || name === '..') return 'it means a folder'
  if (name.length > TOPIC_NAME_CHARS_MAX)
    return `it has ${name.length} characters, at most ${TOPIC_NAME_CHARS_MAX} are allowed`
  if (!LEGAL.test(name)) return 'only letters, digits, ".", "_" and "-" are allowed'
  if (name.startsWith('__')) return 'names that begin with "__" are internal'
  return undefined
}
