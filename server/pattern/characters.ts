/**
 * Sets of characters, as expressions name them: a rule, and what it said of the characters that it was asked about. So an
 * expression costs next to nothing before it is matched, and each character of a name is held against each rule once.
 */
import { formsOf } from './letter-case.ts'

const TABLE_SIZE = 128
const IN = 1
const OUT = 2

export type Predicate = (code: number) => boolean

export class CharacterSet {
  /** Of ASCII: IN, OUT, or not asked about yet. */
  readonly #table = new Uint8Array(TABLE_SIZE)
  readonly #isIn: Predicate
  /** The last other character: many states of a repetition ask about the same. */
  #lastCode = -1
  #hasLast = false

  constructor(isIn: Predicate) {
    this.#isIn = isIn
  }

  has(code: number): boolean {
    if (code < TABLE_SIZE) {
      if (this.#table[code] === 0) this.#table[code] = this.#isIn(code) ? IN : OUT
      return this.#table[code] === IN
    }
    if (code !== this.#lastCode) {
      this.#lastCode = code
      this.#hasLast = this.#isIn(code)
    }
    return this.#hasLast
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
