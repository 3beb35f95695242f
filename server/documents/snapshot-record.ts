/**
 * A snapshot of a document, as a record of the companion topic `<topic>.snapshots`: the key is the document's, the value one
 * update that stands for all updates below an offset of the same partition.
 *
 * Which topic it was made of stands in it: of one that was deleted and made again an old snapshot says nothing.
 */
import type { RawRecord, RecordInput } from '../../protocol/records.ts'

const COVERS = 'covers'
const TOPIC_ID = 'topic-id'
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const snapshotsTopicOf = (topic: string): string => `${topic}.snapshots`

export function snapshotRecord(
  key: Uint8Array,
  { update, covers, topicId, timestamp }: { update: Uint8Array; covers: number; topicId: string; timestamp: number },
): RecordInput {
  const headers = [
    { key: COVERS, value: encoder.encode(String(covers)) },
    { key: TOPIC_ID, value: encoder.encode(topicId) },
  ]
  return { key, value: update, headers, timestamp }
}

/** The offset that it covers; undefined when it is none of this topic. */
export function coversOf({ headers }: RawRecord, topicId: string): number | undefined {
  const textOf = (name: string) => {
    const value = headers.find(({ key }) => key === name)?.value
    return value ? decoder.decode(value) : undefined
  }
  const covers = Number(textOf(COVERS))
  return textOf(TOPIC_ID) === topicId && Number.isSafeInteger(covers) && covers >= 0 ? covers : undefined
}
