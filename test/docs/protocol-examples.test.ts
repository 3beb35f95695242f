/** The byte examples and tables of docs/PROTOCOL.md are what the code does. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { encodeRequest } from '../../protocol/api.ts'
import { uuidFromBytes } from '../../protocol/lib/uuid.ts'
import {
  deliver,
  encodePush,
  FROM_START,
  heartbeat,
  hello,
  subscribe,
} from '../../protocol/messages/offset-protocol.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
import { buildFrame } from '../../server/fan-out/frame.ts'
import { handlers } from '../../server/handlers/index.ts'

const page = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8')
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const topicId = uuidFromBytes(Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index))
const clientId = 'demo'

function example(begins: string): string {
  const found = [...page.matchAll(/```hex (.*)\n([^`]*)```/g)].find(([, title]) => title!.startsWith(begins))
  if (!found) throw new Error(`docs/PROTOCOL.md has no example "${begins}"`)
  return found[2]!.replaceAll(/\s/g, '')
}

describe('docs/PROTOCOL.md', () => {
  test('ApiVersions', () => {
    const body = { clientSoftwareName: 'ottla-demo', clientSoftwareVersion: '1' }
    expect(hex(encodeRequest(apiVersions, 3, { correlationId: 1, clientId }, body))).toBe(example('ApiVersions'))
  })

  test('Hello', () => {
    const replicaId = uuidFromBytes(Uint8Array.from({ length: 16 }, (_, index) => index + 1))
    const body = { replicaId, generation: 5, heartbeatMs: 10_000 }
    expect(hex(encodeRequest(hello, 0, { correlationId: 2, clientId }, body))).toBe(example('Hello'))
  })

  test('Subscribe', () => {
    const body = { partitions: [{ topicId, partition: 0, offset: FROM_START, credit: 1_048_576 }] }
    expect(hex(encodeRequest(subscribe, 0, { correlationId: 3, clientId }, body))).toBe(example('Subscribe'))
  })

  test('Deliver, by the schema and as the relay builds it', () => {
    const fields = {
      topicId,
      partition: 0,
      leaderEpoch: 0,
      logStart: 0,
      highWatermark: 42,
      lastStableOffset: 42,
      nextOffset: 42,
    }
    expect(hex(encodePush(deliver, { ...fields, records: new Uint8Array(0) }))).toBe(example('Deliver without records'))
    const frame = buildFrame({ ...fields, baseOffset: 42 }, [])
    expect(hex(frame.bytes.subarray(frame.payloadAt))).toBe(example('Deliver without records'))
    const batches = [Uint8Array.of(1, 2, 3), Uint8Array.of(4)]
    const full = buildFrame({ ...fields, highWatermark: 2 ** 40 + 7, baseOffset: 42 }, batches)
    expect(hex(full.bytes.subarray(full.payloadAt))).toBe(
      hex(encodePush(deliver, { ...fields, highWatermark: 2 ** 40 + 7, records: Uint8Array.of(1, 2, 3, 4) })),
    )
  })

  test('Heartbeat', () => {
    expect(hex(encodePush(heartbeat, { serverTimeMs: 1_700_000_000_000 }))).toBe(example('Heartbeat'))
  })

  test('the table of APIs is the dispatch table', () => {
    const listed = [...page.matchAll(/^\| (\d+) \| (\w+) \| (\d+)(?:-(\d+))? \|$/gm)].map(
      ([, key, name, min, max]) => ({
        key: Number(key),
        name,
        min: Number(min),
        max: Number(max ?? min),
      }),
    )
    const served = handlers
      .filter(({ api }) => api.key < 20_000)
      .map(({ api }) => ({ key: api.key, name: api.name, min: api.minVersion, max: api.maxVersion }))
      .sort((a, b) => a.key - b.key)
    expect(listed).toEqual(served)
  })
})
