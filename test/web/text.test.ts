import { expect, test } from 'vitest'
import { bytes, rate, sentences, span } from '../../web/format.ts'
import { linkTo, readRoute } from '../../web/router.ts'
import { preview, show } from '../../web/text.ts'

const utf8 = new TextEncoder()

test('JSON is laid out, text stays text, binary becomes hexadecimal, null is told apart from empty', () => {
  expect(show(utf8.encode('{"a":1}'))).toEqual({ kind: 'json', text: '{\n  "a": 1\n}' })
  expect(show(utf8.encode('42'))).toEqual({ kind: 'text', text: '42' })
  expect(show(Uint8Array.of(0, 255, 16))).toEqual({ kind: 'hex', text: '000000  00 ff 10' })
  expect(show(null).kind).toBe('none')
  expect([preview(null), preview(new Uint8Array())]).toEqual(['∅', ''])
})

test('a preview that cuts a character in two still reads as text', () => {
  const text = 'ü'.repeat(400)
  const cut = preview(utf8.encode(text).subarray(0, 401), 240)
  expect(cut).toBe(`${'ü'.repeat(200)}`)
})

test('a route survives its own link, and a stray percent sign', () => {
  expect(readRoute(linkTo('topics', 'a/b c'), 'live')).toMatchObject({ screen: 'topics', path: ['a/b c'] })
  expect(readRoute('#/topics/100%?from=5', 'live').path).toEqual(['100%'])
  expect(readRoute('#/topics/x?from=5', 'live').query.get('from')).toBe('5')
  expect(readRoute('', 'live').screen).toBe('live')
})

test('sizes, spans and rates keep few digits', () => {
  expect([bytes(999), bytes(1500), bytes(2_500_000)]).toEqual(['999 B', '1.5 kB', '2.5 MB'])
  expect([span(840), span(12_000), span(180_000)]).toEqual(['840 ms', '12 s', '3 min'])
  expect([rate(0), rate(9.94), rate(12_345)]).toEqual(['0', '9.9', '12,345'])
  expect(sentences('no space', 'free some.')).toBe('No space. Free some.')
})
