/** What the log has of one document, as the relay gives it: in parts, of which the last is whole. */
import type { RequestOf, ResponseOf } from '../../protocol/api.ts'
import type { openDocument } from '../../protocol/messages/documents.ts'
import type { Core } from '../core.ts'
import { kafkaFailure } from '../kafka-failure.ts'

export type OpenDocument = RequestOf<typeof openDocument>
export type OpenedDocument = ResponseOf<typeof openDocument>

/** Rejects as the relay refuses it. */
export async function openDocumentAt(core: Pick<Core, 'request'>, ask: OpenDocument): Promise<OpenedDocument> {
  const answer = (await core.request('OpenDocument', ask)) as OpenedDocument
  if (answer.errorCode === 0) return answer
  throw kafkaFailure(answer.errorCode, `opening document ${ask.documentId} of ${ask.topic}`, answer.errorMessage)
}
