/** Regular expressions that select topics: RE2's syntax, in time linear in the name whatever the expression. */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../../protocol/errors.ts'
import { randomBelow, seededRandom } from '../../../../protocol/lib/random.ts'
import { PatternResolver } from '../../../../server/coordinator/consumer/pattern/resolver.ts'
import { PatternError, TopicPattern } from '../../../../server/coordinator/consumer/pattern/topic-pattern.ts'
import { codeOf } from '../coordinator-fixture.ts'
import { Topics } from './consumer-driver.ts'

/** undefined where it reads the expression as none. */
function nativeOf(regex: string): RegExp | undefined {
  try {
    return new RegExp(`^(?:${regex})$`)
  } catch {
    return undefined
  }
}

const matching = (regex: string, ...names: readonly string[]) => {
  const pattern = new TopicPattern(regex)
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
    ['characters that no topic has', 'a/b|é', [], ['a/b', 'ab']],
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
    expect(() => new TopicPattern(regex)).toThrow(PatternError)
  })

  test('agrees with another engine where both read the same', () => {
    const random = seededRandom(1)
    const pick = (from: readonly string[]) => from[randomBelow(random, from.length)]!
    const atoms = ['a', 'b', '.', '\\.', '[ab]', '[^a]', '\\d', '\\w', '(a|b)', '(?:ab|)', 'a?', '^', '$', '\\b', '-']
    const names = ['', 'a', 'b', 'ab', 'ba', 'aab', 'a.b', 'a-b', '0', 'b0', '_', 'abab', 'a.b-0']
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

describe('[GRP-42] what an expression may cost', () => {
  test('those that make others run for ever take milliseconds', () => {
    const name = `${'a'.repeat(240)}!`
    const startedAt = performance.now()
    for (const regex of ['(a*)*b', '(a|a)*b', '(a|aa)+b', '(.*)*(.*)*(.*)*b', '(a?){200}a{200}b'])
      expect(matching(regex, name)).toEqual([])
    expect(performance.now() - startedAt).toBeLessThan(1000)
  })

  test('long and large ones are refused', () => {
    for (const regex of ['a'.repeat(5000), 'x{1000}y', '(.{1,300}){3}', `${'('.repeat(600)}a${')'.repeat(600)}`])
      expect(() => new TopicPattern(regex), regex.slice(0, 20)).toThrow(PatternError)
  })

  test('costly ones are looked at a little in each turn, and others get on meanwhile', async () => {
    const topics = new Topics(Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`topic-${index}`, 1])))
    let turns = 0
    const resolver = new PatternResolver(topics, (run) => {
      turns++
      setImmediate(run)
    })
    const order: string[] = []
    const resolve = async (regex: string) => {
      const { names, topicsVersion } = await resolver.resolve(regex, (name) => name !== 'topic-7')
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
    expect(await codeOf(() => resolver.resolve('(', () => true))).toBe(ErrorCode.INVALID_REGULAR_EXPRESSION)
  })
})
