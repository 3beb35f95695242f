/** What members say of themselves may be anything, and stays what they said. */
import { expect, test } from 'vitest'
import { subscriptionIn } from '../../../server/coordinator/consumer-protocol.ts'

test('metadata of no bytes, of one, or of nonsense is no subscription, and is not written to', () => {
  for (const bytes of [[], [7], [0, 9, 255, 255, 255, 255], [0, 3, 0, 0, 0, 9, 1]]) {
    const metadata = Buffer.from(bytes)
    expect(subscriptionIn(metadata)).toBeNull()
    expect([...metadata]).toEqual(bytes)
  }
})
