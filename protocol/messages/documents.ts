/** What the log has of a document that is edited together. A part of the offset protocol (docs/PROTOCOL.md). */
import { api } from '../api.ts'
import { array, bytes, int8, int16, int32, int64, nullable, string, struct, uuid, withDefault } from '../schema.ts'

/**
 * The newest snapshot and the updates behind it, found without reading other documents. Long ones come in several answers:
 * the next is asked for from `nextOffset`.
 */
export const openDocument = api({
  key: 20053,
  name: 'OpenDocument',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    topic: string(),
    documentId: string(),
    /** -1: from the beginning. */
    fromOffset: int64(),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    errorMessage: withDefault(null, nullable(string())),
    topicId: uuid(),
    partition: withDefault(-1, int32()),
    snapshot: withDefault(null, nullable(bytes())),
    updates: withDefault([], array(bytes())),
    /** Updates from here on are to be read from the partition, or asked for with the next request. */
    nextOffset: withDefault(-1, int64()),
    /** 1: there are no more below `nextOffset`. */
    isWhole: withDefault(1, int8()),
  }),
})
