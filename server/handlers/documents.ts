/**
 * OpenDocument, version 0: a document's snapshot and the updates behind it (docs/PROTOCOL.md). It takes the right to read the
 * topic; one that is missing is made where that is allowed.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { NULL_UUID } from '../../protocol/lib/uuid.ts'
import { openDocument } from '../../protocol/messages/documents.ts'
import { entry } from '../handler.ts'
import { errorFields } from './error-fields.ts'

export const openDocumentHandler = entry(
  openDocument,
  'each',
  async ({ topic: name, documentId, fromOffset }, context) => {
    const { documents } = context.services
    const access = { type: 'topic', name } as const
    try {
      if (!context.allows('read', access))
        throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `not allowed to read ${name}`)
      const topic = await documents.topic(name, () => context.allows('create', access))
      const { partition, documents: ofPartition } = await documents.partitionOf(topic, documentId, () =>
        context.allows('write', access),
      )
      const turn = context.turn()
      // An answer may be large: one of a connection is held at a time.
      if (turn) await turn
      const { snapshot, updates, nextOffset, isWhole } = await ofPartition.open(documentId, fromOffset)
      const found = { snapshot, updates, nextOffset, isWhole: isWhole ? 1 : 0 }
      return { errorCode: ErrorCode.NONE, topicId: topic.id, partition, ...found }
    } catch (error) {
      return { ...errorFields(error), topicId: NULL_UUID }
    }
  },
)
