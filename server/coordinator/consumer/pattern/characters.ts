/**
 * Sets of the characters that topic names are made of. A regular expression is only ever matched with such names, so what
 * it says about any other character does not matter once it has been read.
 */
const NAME_CHARACTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-']
const CODES_MAX = 128

/** By character code: 1 in the set. */
export type CharacterSet = Uint8Array

export type Predicate = (code: number) => boolean

/** With `ignoresCase`, those that are the same as a character in the set but for their case. */
export function charactersOf(isIn: Predicate, ignoresCase = false): CharacterSet {
  const set = new Uint8Array(CODES_MAX)
  for (const character of NAME_CHARACTERS) {
    const forms = ignoresCase ? formsOf(character) : [character.charCodeAt(0)]
    if (forms.some(isIn)) set[character.charCodeAt(0)] = 1
  }
  return set
}

export function complementOf(set: CharacterSet): CharacterSet {
  return charactersOf((code) => set[code] === 0)
}

/** Kelvin sign and long s are letters of another case as well. */
function formsOf(character: string): number[] {
  const forms = [character.toLowerCase(), character.toUpperCase()]
  if (/k/i.test(character)) forms.push('\u212a')
  if (/s/i.test(character)) forms.push('\u017f')
  return forms.map((form) => form.charCodeAt(0))
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
    return (code) => property.test(String.fromCharCode(code))
  } catch {
    return undefined
  }
}
