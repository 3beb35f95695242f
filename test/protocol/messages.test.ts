import { describe, expect, test } from 'vitest'
import {
  type AnyApi,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  readRequestRest,
  readRequestStart,
} from '../../protocol/api.ts'
import { MalformedError, Reader } from '../../protocol/bytes/reader.ts'
import { type Random, randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
import { handlers } from '../../server/handlers/index.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const fromHex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))

describe('bytes on the wire, written out', () => {
  test('[MSG-1] ApiVersions 3: flexible header, compact strings, no tags', () => {
    const request = encodeRequest(
      apiVersions,
      3,
      { correlationId: 7, clientId: 'me' },
      { clientSoftwareName: 'ottla-js', clientSoftwareVersion: '1' },
    )
    expect(hex(request)).toBe(
      '0012' + '0003' + '00000007' + '0002' + '6d65' + '00' + '09' + '6f74746c612d6a73' + '02' + '31' + '00',
    )
  })

  test('[MSG-1] what is kept of a request is a copy, also where the request lies in a chunk of a socket', () => {
    const chunk = Buffer.from([9, 9, 0, 0, 0, 2, 1, 2])
    const reader = new Reader(chunk.subarray(2))
    const kept = reader.bytes(reader.int32()).slice()
    expect(kept).toEqual(Uint8Array.of(1, 2))
    expect(kept.buffer.byteLength).toBe(2)
  })

  test('[MSG-2] the ApiVersions response has header 0 in every version', () => {
    const body = { errorCode: 0, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] }
    expect(hex(encodeResponse(apiVersions, 0, 9, body))).toBe(
      '00000009' + '0000' + '00000001' + '0012' + '0000' + '0004',
    )
    expect(
      hex(encodeResponse(apiVersions, 3, 9, body)).startsWith('00000009' + '0000' + '02' + '001200000004' + '00'),
    ).toBe(true)
  })

  test('[MSG-3] Produce 8 has lengths of two and four bytes', () => {
    const body = {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: 'ab', partitionData: [{ index: 3, records: fromHex('cafe') }] }],
    }
    expect(hex(encodeRequest(produce, 8, { correlationId: 1, clientId: null }, body))).toBe(
      '00000008' +
        '00000001' +
        'ffff' +
        'ffff' +
        'ffff' +
        '000003e8' +
        '00000001' +
        '00026162' +
        '00000001' +
        '00000003' +
        '00000002cafe',
    )
  })

  test('[MSG-4] unknown tagged fields are skipped', () => {
    const bytes = fromHex('0009' + '6f74746c612d6a73' + '02' + '31' + '01' + '63' + '03' + 'aabbcc').subarray(1)
    expect(apiVersions.request.read(new Reader(bytes), 3)).toEqual({
      clientSoftwareName: 'ottla-js',
      clientSoftwareVersion: '1',
    })
  })

  test('[MSG-5] a count that cannot fit is refused before anything is allocated', () => {
    const bytes = fromHex('ffff' + '0001' + '000003e8' + '7fffffff')
    expect(() => produce.request.read(new Reader(bytes), 8)).toThrow(MalformedError)
  })
})

/** A value that a schema's own decoder produces from random bytes tells every field's shape without a second description. */
function randomRequest(api: AnyApi, version: number, random: Random): unknown {
  for (let attempt = 0; attempt < 400; attempt++) {
    const bytes = random.bytes(8 + randomBelow(random, 200))
    // Mostly zeros: lengths and counts stay small enough to be plausible.
    for (let index = 0; index < bytes.length; index++)
      if (random.next() < 0.8) bytes[index] = random.next() < 0.5 ? 0 : 1 + randomBelow(random, 3)
    try {
      return api.request.read(new Reader(bytes), version)
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
    }
  }
  return undefined
}

describe.each(handlers.map(({ api }) => [api.name, api] as const))('%s', (_name, api) => {
  const versions = Array.from({ length: api.maxVersion - api.minVersion + 1 }, (_, index) => api.minVersion + index)

  test('[MSG-6] what is written is read back, in every version', () => {
    const random = seededRandom(api.key + 1)
    for (const version of versions) {
      const value = randomRequest(api, version, random)
      if (value === undefined) continue
      const bytes = encodeRequest(api as never, version, { correlationId: 5, clientId: 'c' }, value as never)
      const reader = new Reader(bytes)
      expect(readRequestStart(reader)).toEqual({ apiKey: api.key, apiVersion: version, correlationId: 5 })
      expect(readRequestRest(reader, version >= api.flexibleFrom)).toBe('c')
      expect(api.request.read(reader, version)).toEqual(value)
      expect(reader.remaining).toBe(0)
    }
  })

  test('[MSG-7] a message cut at any byte is malformed, never anything else', () => {
    const random = seededRandom(api.key + 2)
    for (const version of versions) {
      const value = randomRequest(api, version, random)
      if (value === undefined) continue
      const bytes = encodeRequest(api as never, version, { correlationId: 5, clientId: null }, value as never)
      for (let cut = 0; cut < bytes.length; cut++) {
        expect(() => {
          const reader = new Reader(bytes, 0, cut)
          readRequestStart(reader)
          readRequestRest(reader, version >= api.flexibleFrom)
          api.request.read(reader, version)
        }).toThrow(MalformedError)
      }
    }
  })

  test('[MSG-8] random bytes as a response are read or malformed, never anything else', () => {
    const random = seededRandom(api.key + 3)
    for (let round = 0; round < 300; round++) {
      const version = versions[randomBelow(random, versions.length)]!
      const bytes = random.bytes(randomBelow(random, 300))
      try {
        decodeResponse(api as never, version, new Reader(bytes))
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError)
      }
    }
  })
})

test('[MSG-9] ids have 22 characters and survive the way to bytes and back', async () => {
  const { uuidFromBytes, uuidToBytes } = await import('../../protocol/lib/uuid.ts')
  const random = seededRandom(11)
  for (let round = 0; round < 200; round++) {
    const bytes = random.bytes(16)
    const text = uuidFromBytes(bytes)
    expect(text).toBe(Buffer.from(bytes).toString('base64url'))
    expect(uuidToBytes(text)).toEqual(bytes)
  }
  expect(randomUuid(random)).toHaveLength(22)
  expect(() => uuidToBytes('too short')).toThrow(RangeError)
})
