/**
 * Sets of characters, as expressions name them. Most are asked about ASCII, for which a set is a table; about any other
 * character the rule itself is asked.
 */
import { formsOf } from './letter-case.ts'

const TABLE_SIZE = 128

export type Predicate = (code: number) => boolean

export class CharacterSet {
  readonly #table = new Uint8Array(TABLE_SIZE)
  readonly #isIn: Predicate

  constructor(isIn: Predicate) {
    this.#isIn = isIn
    for (let code = 0; code < TABLE_SIZE; code++) if (isIn(code)) this.#table[code] = 1
  }

  has(code: number): boolean {
    return code < TABLE_SIZE ? this.#table[code] === 1 : this.#isIn(code)
  }
}

/** With `ignoresCase`, those that are the same as a character in the set but for their case. */
export function charactersOf(isIn: Predicate, ignoresCase = false): CharacterSet {
  return new CharacterSet(ignoresCase ? (code) => isIn(code) || formsOf(code).some(isIn) : isIn)
}

export function complementOf(set: CharacterSet): CharacterSet {
  return new CharacterSet((code) => !set.has(code))
}

const between =
  (low: string, high: string): Predicate =>
  (code) =>
    code >= low.charCodeAt(0) && code <= high.charCodeAt(0)

const either =
  (...predicates: readonly Predicate[]): Predicate =>
  (code) =>
    predicates.some((isIn) => isIn(code))

const isDigit = between('0', '9')
const isUpper = between('A', 'Z')
const isLower = between('a', 'z')
const isAlpha = either(isUpper, isLower)
const isAlnum = either(isAlpha, isDigit)
const isWord = either(isAlnum, (code) => code === 0x5f)
const isSpace: Predicate = (code) => code === 0x20 || (code >= 9 && code <= 13)
const isGraph = between('!', '~')

export const isWordCharacter = isWord

/** `\d` and its like. */
export const PERL_CLASSES: ReadonlyMap<string, Predicate> = new Map([
  ['d', isDigit],
  ['s', (code) => isSpace(code) && code !== 11],
  ['w', isWord],
])

/** `[:alpha:]` and its like. */
export const POSIX_CLASSES: ReadonlyMap<string, Predicate> = new Map([
  ['alnum', isAlnum],
  ['alpha', isAlpha],
  ['ascii', (code) => code < 0x80],
  ['blank', (code) => code === 0x20 || code === 9],
  ['cntrl', (code) => code < 0x20 || code === 0x7f],
  ['digit', isDigit],
  ['graph', isGraph],
  ['lower', isLower],
  ['print', either(isGraph, (code) => code === 0x20)],
  ['punct', (code) => isGraph(code) && !isAlnum(code)],
  ['space', isSpace],
  ['upper', isUpper],
  ['word', isWord],
  ['xdigit', either(isDigit, between('a', 'f'), between('A', 'F'))],
])

/** `\p{Lu}`, `\p{Greek}`: undefined when there is no such category or script. */
export function unicodeClass(name: string): Predicate | undefined {
  if (name === 'Any') return () => true
  if (!/^[A-Z][A-Za-z_]*$/.test(name)) return undefined
  try {
    // One character at a time: nothing to backtrack.
    const property = new RegExp(`\\p{${name.length <= 2 ? 'gc' : 'Script'}=${name}}`, 'u')
    return (code) => property.test(String.fromCodePoint(code))
  } catch {
    return undefined
  }
}
