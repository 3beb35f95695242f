/**
 * What was thrown, as the two fields that most replies have for it. A disk that fails is Kafka's storage error, which
 * clients try again; anything else but a KafkaError is a fault of ours and ends the connection.
 */
import { KafkaError } from '../../protocol/errors.ts'
import { StorageError } from '../storage/files.ts'

/** Texts quote what was asked for, and old versions have 16 bits for their length. */
const MESSAGE_CHARS_MAX = 1000

export function errorFields(error: unknown): { errorCode: number; errorMessage: string } {
  const { code, message } = asKafkaError(error)
  return { errorCode: code, errorMessage: message.slice(0, MESSAGE_CHARS_MAX) }
}

/** Throws what is neither a KafkaError nor a failure of the disk. */
export function asKafkaError(error: unknown): KafkaError {
  if (error instanceof KafkaError) return error
  if (error instanceof StorageError) return new KafkaError('KAFKA_STORAGE_ERROR', error.message, { cause: error })
  throw error
}
