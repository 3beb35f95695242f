/**
 * What a member of a `consumer` group says in its metadata: version INT16, topics ARRAY of STRING, user data, and more in
 * later versions, which all begin the same. The relay looks only at the topics.
 */
import { MalformedError, Reader } from '../../protocol/bytes/reader.ts'

/** null when the bytes say something else. */
export function subscribedTopics(metadata: Uint8Array): string[] | null {
  try {
    const reader = new Reader(metadata)
    if (reader.int16() < 0) return null
    const count = reader.int32()
    if (count < 0 || count * 2 > reader.remaining) return null
    const topics: string[] = []
    for (let index = 0; index < count; index++) topics.push(reader.utf8(reader.int16()))
    return topics
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}
