import { expect, test } from 'vitest'
import { refusalError, verdictOn } from '../../../client/outbox/settlement.ts'
import { ErrorCode, isRetriableCode } from '../../../protocol/errors.ts'

test('every error code has a verdict, and none that Kafka retries ends a write', () => {
  const final = new Set(['refused', 'refused-record', 'done', 'done-somewhere'])
  for (const [name, code] of Object.entries(ErrorCode)) {
    const verdict = verdictOn(code)
    if (isRetriableCode(code)) expect(final.has(verdict), name).toBe(false)
    if (code !== 0 && code !== 46) expect(verdict.startsWith('done'), name).toBe(false)
  }
})

test.each([
  ['NONE', 'done'],
  ['DUPLICATE_SEQUENCE_NUMBER', 'done-somewhere'],
  ['OUT_OF_ORDER_SEQUENCE_NUMBER', 'ask'],
  ['INVALID_PRODUCER_EPOCH', 'ask'],
  ['MESSAGE_TOO_LARGE', 'refused-record'],
  ['TOPIC_AUTHORIZATION_FAILED', 'refused'],
  ['KAFKA_STORAGE_ERROR', 'retry'],
  ['UNKNOWN_TOPIC_ID', 'retry-elsewhere'],
  ['UNKNOWN_SERVER_ERROR', 'doubtful'],
] as const)('%s is %s', (name, verdict) => {
  expect(verdictOn(ErrorCode[name])).toBe(verdict)
})

test('a code from the future leaves the outcome open', () => {
  expect(verdictOn(9_999)).toBe('doubtful')
})

test('a refusal names topic, partition and the relay’s reason', () => {
  const error = refusalError({ topic: 'flights', partition: 3 }, ErrorCode.MESSAGE_TOO_LARGE, 'limit is 1048576')
  expect(error).toMatchObject({ code: 'TOO_LARGE', kafkaCode: 10 })
  expect(error.message).toContain('flights-3')
  expect(error.message).toContain('limit is 1048576')
})
