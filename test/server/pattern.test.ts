/** Regular expressions that select names: RE2's syntax, in time linear in the name whatever the expression. */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../protocol/errors.ts'
import { randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import { resolvePattern } from '../../server/coordinator/consumer/pattern-resolver.ts'
import { formsOf } from '../../server/pattern/letter-case.ts'
import { NamePattern, PatternError } from '../../server/pattern/name-pattern.ts'
import { NameSelector } from '../../server/pattern/name-selector.ts'
import { Topics } from './groups/consumer/consumer-driver.ts'
import { codeOf } from './groups/coordinator-fixture.ts'

/** undefined where it reads the expression as none. */
function nativeOf(regex: string): RegExp | undefined {
  try {
    return new RegExp(`^(?:${regex})$`)
  } catch {
    return undefined
  }
}

const matching = (regex: string, ...names: readonly string[]) => {
  const pattern = new NamePattern(regex)
  return names.filter((name) => pattern.matches(name))
}

describe('[GRP-38] what an expression means', () => {
  test.each([
    ['the whole name', 'order', ['order'], ['orders', 'xorder', '']],
    ['any character', 'a.c', ['abc', 'a.c', 'a-c'], ['ac']],
    ['alternatives', 'a|bc|', ['a', 'bc', ''], ['b']],
    ['repetitions', 'a*b+c?', ['b', 'aabb', 'bc'], ['a', 'bcc']],
    ['counts', 'x{2,3}y{2}z{1,}', ['xxyyz', 'xxxyyzzz'], ['xyyz', 'xxxxyyz', 'xxyy']],
    ['lazy ones', 'a*?b??', ['', 'ab', 'aa'], ['bb']],
    ['a brace that counts nothing', 'a{,2}', [], ['a', 'aa']],
    ['classes', '[a-c_][^a-c]', ['ax', '_9', 'b.'], ['ab', 'dx']],
    ['classes with odd signs', '[]a-]+', ['a-a', '-'], ['b']],
    ['POSIX classes', '[[:alpha:]][[:^alpha:]]', ['a1', 'Z-'], ['aa', '11']],
    ['Perl classes', '\\w\\d\\W', ['a1-', '_0.'], ['a1a', '-1-']],
    ['Unicode classes', '\\pL\\p{Lu}\\P{Lu}\\p{Greek}?', ['aAa', 'AA1'], ['1Aa', 'aaa']],
    ['case', '(?i)orders-(?-i:EU)', ['ORDERS-EU', 'orders-EU'], ['orders-eu']],
    ['case in a group only', '(?i:a)b', ['Ab', 'ab'], ['aB']],
    ['groups', '(?:ab)+(?P<n>c)(?<m>d)', ['ababcd'], ['abcabcd']],
    ['quoted', '\\Qa.b\\E.\\Qc', ['a.bxc'], ['axbxc']],
    ['escapes', 'a\\.b\\-\\x63\\x{64}\\145', ['a.b-cde'], ['axb-cde']],
    ['ends', '^\\Aabc\\z$', ['abc'], []],
    ['an end in the middle', 'a$b|a^b', [], ['ab', 'a$b']],
    ['word boundaries', '\\borders\\b.*\\Bx', ['orders-yx'], ['ordersyx', 'orders-x']],
    ['any characters', 'a/b|é|[α-ω]😀.', ['a/b', 'é', 'β😀!', 'β😀😀'], ['ab', 'e', 'Β😀!', '😀😀']],
    ['all but some', '[^a]\\D\\W', ['\n--', 'ééé'], ['aé-', 'é1-']],
    ['case beyond ASCII', '(?i)straße-µ-ß', ['STRAßE-Μ-ß', 'straße-μ-ẞ'], ['STRASSE-µ-ß', 'straße-m-ß']],
    ['kelvin and long s', '(?i)k\\x{17f}', ['KS', '\u212as', 'k\u017f'], ['ks-', 'ſk']],
    ['scripts', '\\p{Cyrillic}+\\P{L}', ['щи1', 'Да😀'], ['shi1', 'щиш']],
    ['lines', 'a.b|a(?s:.)c|(?m)a$\\n^d', ['a-b', 'a\nc', 'a\nd'], ['a\nb', 'a\r\nd']],
  ])('%s', (_what, regex, those, others) => {
    expect(matching(regex, ...those, ...others)).toEqual(those)
  })

  test.each([
    ...['(', ')', 'a)', '[', '[a', '[]', '[z-a]', '*', '+a', '?', '|*', 'a**', 'a*+', 'a??*', 'a{1001}', 'a{3,2}'],
    ...[
      '(a{100}){11}',
      '(?=a)',
      '(?!a)',
      '(?<=a)',
      '(?>a)',
      '\\1',
      '(a)\\1',
      '\\8',
      '\\Z',
      '\\G',
      '\\q',
      '\\',
      '\\x{110000}',
    ],
    ...['\\p', '\\pX', '\\p{Foo}', '[[:foo:]]', '(?P<n>a)(?P<n>b)', '(?P<>a)', '(?P=n)', '(?z)', '(?', '(?i'],
  ])('no expression: %s', (regex) => {
    expect(() => new NamePattern(regex)).toThrow(PatternError)
  })

  test('agrees with another engine where both read the same', () => {
    const random = seededRandom(1)
    const pick = (from: readonly string[]) => from[randomBelow(random, from.length)]!
    const atoms = [
      'a',
      'b',
      'é',
      '[^é]',
      '.',
      '\\.',
      '[ab]',
      '[^a]',
      '\\d',
      '\\w',
      '(a|b)',
      '(?:ab|)',
      'a?',
      '^',
      '$',
      '\\b',
      '-',
    ]
    const names = ['', 'é', 'bé', 'a', 'b', 'ab', 'ba', 'aab', 'a.b', 'a-b', '0', 'b0', '_', 'abab', 'a.b-0']
    for (let count = 0; count < 3000; count++) {
      const parts = Array.from(
        { length: 1 + randomBelow(random, 5) },
        () => pick(atoms) + pick(['', '', '*', '+', '{2}', '|']),
      )
      const regex = parts.join('')
      const native = nativeOf(regex)
      if (!native) continue
      expect(matching(regex, ...names), regex).toEqual(names.filter((name) => native.test(name)))
    }
  })
})

test('[GRP-38] case is what another engine takes for it', () => {
  for (let code = 1; code < 0x10000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue
    for (const form of formsOf(code)) {
      const isForm = new RegExp(`^\\u{${form.toString(16)}}$`, 'iu')
      expect(isForm.test(String.fromCodePoint(code)), code.toString(16)).toBe(true)
      expect(formsOf(form)).toContain(code)
    }
  }
})

describe('[GRP-42] what an expression may cost', () => {
  test('those that make others run for ever take milliseconds', () => {
    const name = `${'a'.repeat(240)}!`
    const startedAt = performance.now()
    for (const regex of ['(a*)*b', '(a|a)*b', '(a|aa)+b', '(.*)*(.*)*(.*)*b', '(a?){200}a{200}b'])
      expect(matching(regex, name)).toEqual([])
    expect(performance.now() - startedAt).toBeLessThan(1000)
  })

  test('long names are looked at a piece in each turn', async () => {
    let turns = 0
    const selector = new NameSelector((run) => {
      turns++
      setImmediate(run)
    })
    const names = ['é'.repeat(32_000), `${'é'.repeat(32_000)}!`]
    expect(await selector.select('(é?){400}(.*)*é', names)).toEqual([names[0]])
    expect(turns).toBeGreaterThan(100)
  })

  test('classes of many rules hold up nobody, whatever the characters', async () => {
    const ranges = Array.from({ length: 600 }, (_, index) => String.fromCodePoint(0x3000 + 2 * index)).join('\\pN')
    let longestMs = 0
    let sinceMs = performance.now()
    const selector = new NameSelector((run) => {
      longestMs = Math.max(longestMs, performance.now() - sinceMs)
      setImmediate(() => {
        sinceMs = performance.now()
        run()
      })
    })
    const names = ['\u3001'.repeat(300), '\u3002'.repeat(300)]
    expect(await selector.select(`(?i)[${ranges}]{300}`, names)).toEqual([names[1]])
    expect(longestMs).toBeLessThan(200)
  })

  test('long and large ones are refused', () => {
    for (const regex of ['a'.repeat(5000), 'x{1000}y', '(.{1,300}){3}', `${'('.repeat(600)}a${')'.repeat(600)}`])
      expect(() => new NamePattern(regex), regex.slice(0, 20)).toThrow(PatternError)
  })

  test('costly ones are looked at a little in each turn, and others get on meanwhile', async () => {
    const topics = new Topics(Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`topic-${index}`, 1])))
    let turns = 0
    const selector = new NameSelector((run) => {
      turns++
      setImmediate(run)
    })
    const order: string[] = []
    const resolve = async (regex: string) => {
      const { names, topicsVersion } = await resolvePattern(regex, topics, (name) => name !== 'topic-7', selector)
      order.push(regex)
      expect(topicsVersion).toBe(topics.topicsVersion)
      return names
    }
    const costly = resolve('.?'.repeat(400))
    const cheap = resolve('topic-[78]')
    expect(await cheap).toEqual(['topic-8'])
    expect(await costly).toHaveLength(299)
    expect(order).toEqual(['topic-[78]', '.?'.repeat(400)])
    expect(turns).toBeGreaterThan(5)
    expect(await codeOf(() => selector.select('(', []))).toBe(ErrorCode.INVALID_REGULAR_EXPRESSION)
  })
})
