/** What the command line makes of records: input lines, output patterns, start positions. */
import { describe, expect, test } from 'vitest'
import { UsageError } from '../../cli/command.ts'
import { table } from '../../cli/output.ts'
import { type PrintableRecord, recordPrinter } from '../../cli/record-format.ts'
import { parseRecord } from '../../cli/record-input.ts'
import { parseStartPosition } from '../../cli/start-position.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const lines = { format: 'lines', headers: [] } as const
const ndjson = { format: 'ndjson', headers: [] } as const

describe('[CLI-1] input lines become records', () => {
  test('a line is a value without key', () => {
    expect(parseRecord('a:b', 1, lines)).toEqual({ key: null, value: bytes('a:b'), headers: [], partition: undefined })
  })

  test('a separator splits once; a line without it takes the common key', () => {
    const options = { ...lines, keySeparator: ':', key: 'common' }
    expect(parseRecord('k:v:w', 1, options)).toMatchObject({ key: bytes('k'), value: bytes('v:w') })
    expect(parseRecord('alone', 1, options)).toMatchObject({ key: bytes('common'), value: bytes('alone') })
  })

  test('NDJSON carries all parts; objects are JSON, base64 is bytes, null is null', () => {
    const row = { key: 'k', value: { a: 1 }, headers: { h: 'x', n: null }, partition: 2, timestamp: 5 }
    expect(parseRecord(JSON.stringify(row), 1, ndjson)).toEqual({
      key: bytes('k'),
      value: bytes('{"a":1}'),
      headers: [
        { key: 'h', value: bytes('x') },
        { key: 'n', value: null },
      ],
      partition: 2,
      timestamp: 5,
    })
    expect(parseRecord('{"value":{"base64":"/wA="}}', 1, ndjson).value).toEqual(Uint8Array.of(255, 0))
    expect(parseRecord('{"key":"k","value":null}', 1, ndjson).value).toBeNull()
  })

  test.each([
    ['{"value":', /line 7: not JSON/],
    ['[1]', /line 7: an object such as/],
    ['{"vlaue":1}', /line 7: unknown field "vlaue"/],
    ['{"value":1,"partition":-1}', /line 7: partition must be a whole number/],
    ['{"value":1,"timestamp":"now"}', /line 7: timestamp must be a whole number/],
    ['{"value":1,"headers":[1]}', /line 7: headers must be an object/],
  ])('%s is refused with its line', (line, message) => {
    expect(() => parseRecord(line, 7, ndjson)).toThrow(message)
  })
})

describe('[CLI-2] records are printed by format', () => {
  const record: PrintableRecord = {
    topic: 't',
    partition: 1,
    offset: 42,
    timestamp: 9,
    key: bytes('k'),
    value: bytes('väl'),
    headers: [{ key: 'h', value: bytes('x') }],
  }
  const print = (format: string, of = record) => Buffer.from(recordPrinter(format)(of)).toString()

  test('text, pattern and JSON', () => {
    expect(print('text')).toBe('väl\n')
    expect(print('%t/%p@%o %T %k=%v [%h] %K,%V 100%%\\t.\\n')).toBe('t/1@42 9 k=väl [h=x] 1,4 100%\t.\n')
    expect(print('%k %v')).toBe('k väl\n')
    expect(JSON.parse(print('json'))).toEqual({
      topic: 't',
      partition: 1,
      offset: 42,
      timestamp: 9,
      key: 'k',
      value: 'väl',
      headers: { h: 'x' },
    })
  })

  test('bytes that are no text leave as they came, in JSON as base64', () => {
    const binary = { ...record, value: Uint8Array.of(0xff, 0x00), key: null }
    expect(recordPrinter('%v')(binary)).toEqual(Buffer.from([0xff, 0x00, 0x0a]))
    expect(JSON.parse(print('json', binary))).toMatchObject({ key: null, value: { base64: '/wA=' } })
  })

  test('what JSON prints, NDJSON reads back', () => {
    const binary = { ...record, value: Uint8Array.of(0xff, 0x00) }
    expect(parseRecord(print('json', binary), 1, ndjson)).toEqual({
      key: record.key,
      value: binary.value,
      headers: record.headers,
      partition: 1,
      timestamp: 9,
    })
  })

  test('headers of one name are all there, in their order', () => {
    const headers = ['1', '2', '1'].map((value) => ({ key: 'h', value: bytes(value) }))
    const printed = print('json', { ...record, headers: [...headers, { key: 'n', value: null }] })
    expect(JSON.parse(printed).headers).toEqual([
      ['h', '1'],
      ['h', '2'],
      ['h', '1'],
      ['n', null],
    ])
    expect(parseRecord(printed, 1, ndjson).headers).toEqual([...headers, { key: 'n', value: null }])
  })

  test('an unknown letter is refused', () => {
    expect(() => recordPrinter('%x')).toThrow(UsageError)
    expect(() => recordPrinter('%')).toThrow(UsageError)
  })
})

describe('[CLI-3] --from', () => {
  test.each([
    ['beginning', 'beginning'],
    ['end', 'end'],
    ['offset:17', { offset: 17 }],
    ['last:3', { last: 3 }],
    ['time:2024-05-01T00:00:00Z', { timestamp: 1_714_521_600_000 }],
    ['time:1714521600000', { timestamp: 1_714_521_600_000 }],
  ])('%s', (text, position) => {
    expect(parseStartPosition(text)).toEqual(position)
  })

  test.each(['', 'start', 'offset:', 'offset:-1', 'offset:1.5', 'time:yesterday', 'last:99999999999999999999'])(
    '%j is refused with the forms that are allowed',
    (text) => {
      expect(() => parseStartPosition(text)).toThrow(/beginning, end, offset:N/)
    },
  )
})

test('[CLI-18] a table may be as long as it gets', () => {
  const rows = Array.from({ length: 200_000 }, (_, index) => ['t', index])
  expect(table(['TOPIC', 'PARTITION'], rows).split('\n')).toHaveLength(200_002)
})
