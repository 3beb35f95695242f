/** Why a tail ended. The codes are those of OttlaError; its table of hints is too heavy to come along. */
import type { OttlaErrorCode } from '../errors.ts'

export class TailError extends Error {
  override readonly name = 'OttlaError'
  readonly code: OttlaErrorCode
  readonly kafkaCode: number | undefined

  constructor(code: OttlaErrorCode, message: string, options: { kafkaCode?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.code = code
    this.kafkaCode = options.kafkaCode
  }
}
