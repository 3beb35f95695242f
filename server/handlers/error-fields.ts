/** What was thrown, as the two fields that most replies have for it. Anything but a KafkaError is a fault of ours. */
import { KafkaError } from '../../protocol/errors.ts'

export function errorFields(error: unknown): { errorCode: number; errorMessage: string } {
  if (!(error instanceof KafkaError)) throw error
  return { errorCode: error.code, errorMessage: error.message }
}
