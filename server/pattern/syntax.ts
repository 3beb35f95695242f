/**
 * Reads a regular expression in RE2's syntax, which has no back-references and no look-around, so that matching takes
 * time linear in the text. What the expression captures and whether it is greedy does not matter: a name matches as a whole
 * or not at all.
 *
 *     alternatives = sequence ('|' sequence)*
 *     sequence     = (atom repetition?)*
 *     atom         = character | '.' | '[' class ']' | '\' escape | '^' | '$' | '(' alternatives ')'
 */
import {
  type CharacterSet,
  charactersOf,
  complementOf,
  PERL_CLASSES,
  POSIX_CLASSES,
  type Predicate,
  unicodeClass,
} from './characters.ts'

export type Node =
  | { kind: 'characters'; set: CharacterSet }
  | { kind: 'assertion'; holdsAt: Place }
  | { kind: 'sequence'; parts: readonly Node[] }
  | { kind: 'alternatives'; parts: readonly Node[] }
  | { kind: 'repetition'; part: Node; min: number; max: number }

type Place = 'start' | 'end' | 'line start' | 'line end' | 'word boundary' | 'no word boundary'

export class PatternError extends Error {
  override readonly name = 'PatternError'
}

export const PATTERN_LENGTH_MAX = 4096
const NESTING_MAX = 500
const REPEAT_MAX = 1000

interface Flags {
  /** (?i) */
  ignoresCase: boolean
  /** (?m): ^ and $ hold at the ends of lines too. */
  isByLine: boolean
  /** (?s): a dot is any character, also the one that ends a line. */
  dotIsAll: boolean
}

const NO_FLAGS: Flags = { ignoresCase: false, isByLine: false, dotIsAll: false }
const NEW_LINE = 10

export function parsePattern(source: string): Node {
  if (source.length > PATTERN_LENGTH_MAX)
    throw new PatternError(`an expression has ${PATTERN_LENGTH_MAX} characters at most`)
  const parser = new Parser(source)
  return parser.all()
}

class Parser {
  readonly #source: string
  readonly #names = new Set<string>()
  #at = 0
  #depth = 0
  #flags: Flags = NO_FLAGS

  constructor(source: string) {
    this.#source = source
  }

  all(): Node {
    const { node } = this.#alternatives()
    if (this.#at < this.#source.length) throw new PatternError('unexpected )')
    return node
  }

  #alternatives(): Repeatable {
    const sequences = [this.#sequence()]
    while (this.#take('|')) sequences.push(this.#sequence())
    if (sequences.length === 1) return sequences[0]!
    const parts = sequences.map(({ node }) => node)
    return { node: { kind: 'alternatives', parts }, copies: Math.max(...sequences.map(({ copies }) => copies)) }
  }

  #sequence(): Repeatable {
    const items: Repeatable[] = []
    while (this.#at < this.#source.length && !this.#isNext('|') && !this.#isNext(')')) {
      const repetition = this.#repetition()
      if (repetition) items.push(this.#repeated(items.pop(), repetition))
      else items.push(...this.#atom())
    }
    const copies = Math.max(1, ...items.map((item) => item.copies))
    if (items.length === 1) return items[0]!
    return { node: { kind: 'sequence', parts: items.map(({ node }) => node) }, copies }
  }

  // --- repetitions -------------------------------------------------------------------------------------------------

  #repetition(): Repetition | undefined {
    const from = this.#at
    const found = this.#repetitionSign()
    if (!found) return undefined
    this.#take('?')
    const end = this.#at
    if (this.#repetitionSign())
      throw new PatternError(`a repetition of a repetition: ${this.#source.slice(from, this.#at)}`)
    this.#at = end
    return { ...found, text: this.#source.slice(from, end) }
  }

  #repetitionSign(): { min: number; max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Number.POSITIVE_INFINITY }
    if (this.#take('+')) return { min: 1, max: Number.POSITIVE_INFINITY }
    if (this.#take('?')) return { min: 0, max: 1 }
    // A brace that does not begin a count is a brace.
    const counted = this.#match(/\{(\d+)(,?)(\d*)\}/y)
    if (!counted) return undefined
    const [, low, comma, high] = counted
    const min = Number(low)
    const max = comma === '' ? min : high === '' ? Number.POSITIVE_INFINITY : Number(high)
    return { min, max }
  }

  #repeated(item: Repeatable | undefined, { min, max, text }: Repetition): Repeatable {
    if (!item) throw new PatternError(`nothing to repeat before ${text}`)
    const isTooOften = min > REPEAT_MAX || (Number.isFinite(max) && max > REPEAT_MAX)
    if (isTooOften || max < min) throw new PatternError(`an invalid count: ${text}`)
    const times = Math.max(1, Number.isFinite(max) ? max : min)
    const copies = item.copies * times
    if (times > 1 && copies > REPEAT_MAX) throw new PatternError(`more than ${REPEAT_MAX} repetitions: ${text}`)
    return { node: { kind: 'repetition', part: item.node, min, max }, copies }
  }

  // --- atoms -------------------------------------------------------------------------------------------------------

  /** None when it only sets flags. */
  #atom(): Repeatable[] {
    if (this.#take('(')) return this.#group()
    return this.#single().map((node) => ({ node, copies: 1 }))
  }

  #single(): Node[] {
    if (this.#take('[')) return [{ kind: 'characters', set: this.#class() }]
    const { isByLine, dotIsAll } = this.#flags
    if (this.#take('.')) return [{ kind: 'characters', set: charactersOf((code) => dotIsAll || code !== NEW_LINE) }]
    if (this.#take('^')) return [{ kind: 'assertion', holdsAt: isByLine ? 'line start' : 'start' }]
    if (this.#take('$')) return [{ kind: 'assertion', holdsAt: isByLine ? 'line end' : 'end' }]
    if (this.#take('\\')) return this.#escape()
    return [this.#literal(this.#character())]
  }

  #literal(code: number): Node {
    return { kind: 'characters', set: charactersOf((each) => each === code, this.#flags.ignoresCase) }
  }

  #group(): Repeatable[] {
    const before = this.#flags
    if (this.#take('?')) {
      const name = this.#match(/P?<(\w+)>/y)?.[1]
      if (name === undefined) {
        if (this.#setFlags() === ')') return []
      } else if (this.#names.has(name)) throw new PatternError(`two groups are named ${name}`)
      else this.#names.add(name)
    }
    if (++this.#depth > NESTING_MAX) throw new PatternError('it nests too deeply')
    const inner = this.#alternatives()
    if (!this.#take(')')) throw new PatternError('a ) is missing')
    this.#depth--
    this.#flags = before
    return [inner]
  }

  /** Those that hold from here to the end of the group: what comes after them is `:` or `)`. */
  #setFlags(): string {
    const found = this.#match(/([imsU]*)(?:(-)([imsU]+))?([:)])/y)
    const [all, on, minus, off, end] = found ?? []
    if (all === undefined || end === undefined || (minus === undefined && on === '' && end === ')'))
      throw new PatternError(`unsupported: (?${this.#source.slice(this.#at, this.#at + 3)}`)
    const flag = (letter: string, before: boolean) => !off?.includes(letter) && (on!.includes(letter) || before)
    const { ignoresCase, isByLine, dotIsAll } = this.#flags
    this.#flags = {
      ignoresCase: flag('i', ignoresCase),
      isByLine: flag('m', isByLine),
      dotIsAll: flag('s', dotIsAll),
    }
    return end
  }

  #escape(): Node[] {
    const sign = this.#peek()
    if (sign === 'A' || sign === 'z' || sign === 'b' || sign === 'B') {
      this.#at++
      const holdsAt = ({ A: 'start', z: 'end', b: 'word boundary', B: 'no word boundary' } as const)[sign]
      return [{ kind: 'assertion', holdsAt }]
    }
    if (sign === 'Q') {
      this.#at++
      const text = this.#match(/([\s\S]*?)(?:\\E|$)/y)![1]!
      return [...text].map((character) => this.#literal(character.codePointAt(0)!))
    }
    const set = this.#escapedClass()
    return [set ? { kind: 'characters', set } : this.#literal(this.#escapedCharacter())]
  }

  /** `\d`, `\W`, `\pN`, `\P{Greek}`; undefined when it is something else. */
  #escapedClass(): CharacterSet | undefined {
    const perl = this.#match(/[dswDSW]/y)?.[0]
    if (perl !== undefined) {
      const set = charactersOf(PERL_CLASSES.get(perl.toLowerCase())!)
      return perl === perl.toLowerCase() ? set : complementOf(set)
    }
    const unicode = this.#match(/([pP])(?:\{(\^?)([^}]*)\}|([^{]))/y)
    if (!unicode) return undefined
    const [text, sign, caret, long, short] = unicode
    const isIn = unicodeClass(long ?? short!)
    if (!isIn) throw new PatternError(`there are no characters \\${text}`)
    const set = charactersOf(isIn, this.#flags.ignoresCase)
    return (sign === 'P') !== (caret === '^') ? complementOf(set) : set
  }

  #escapedCharacter(): number {
    const hex = this.#match(/x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]+)\})/y)
    const octal = hex ? null : this.#match(/0[0-7]{0,2}|[1-7][0-7]{1,2}/y)
    const code = hex ? Number.parseInt(hex[1] ?? hex[2]!, 16) : octal ? Number.parseInt(octal[0], 8) : undefined
    if (code !== undefined) {
      if (code > 0x10ffff) throw new PatternError(`there is no character ${code}`)
      return code
    }
    const sign = this.#match(/[aftnrv]|[^0-9A-Za-z\u{80}-\u{10ffff}]/uy)?.[0]
    if (sign === undefined) throw new PatternError(`unsupported: \\${this.#peek()}`)
    return CONTROLS.get(sign) ?? sign.codePointAt(0)!
  }

  // --- classes -----------------------------------------------------------------------------------------------------

  #class(): CharacterSet {
    const from = this.#at
    const isNegated = this.#take('^')
    const predicates: Predicate[] = []
    for (let isFirst = true; isFirst || !this.#isNext(']'); isFirst = false) {
      if (this.#at >= this.#source.length) throw new PatternError(`a ] is missing: [${this.#source.slice(from)}`)
      predicates.push(this.#classItem())
    }
    this.#at++
    const set = charactersOf((code) => predicates.some((isIn) => isIn(code)), this.#flags.ignoresCase)
    return isNegated ? complementOf(set) : set
  }

  #classItem(): Predicate {
    const posix = this.#match(/\[:(\^?)([^\]]*?):\]/y)
    if (posix) {
      const isIn = POSIX_CLASSES.get(posix[2]!)
      if (!isIn) throw new PatternError(`there are no characters ${posix[0]}`)
      return posix[1] === '^' ? (code) => !isIn(code) : isIn
    }
    if (this.#isNext('\\')) {
      this.#at++
      const set = this.#escapedClass()
      if (set) return (code) => set.has(code)
      this.#at--
    }
    const from = this.#at
    const low = this.#classCharacter()
    let high = low
    if (this.#isNext('-') && this.#source[this.#at + 1] !== ']' && this.#at + 1 < this.#source.length) {
      this.#at++
      high = this.#classCharacter()
    }
    if (high < low) throw new PatternError(`a range that ends before it begins: ${this.#source.slice(from, this.#at)}`)
    return (code) => code >= low && code <= high
  }

  #classCharacter(): number {
    if (this.#take('\\')) return this.#escapedCharacter()
    return this.#character()
  }

  // --- the source --------------------------------------------------------------------------------------------------

  #peek(): string {
    return this.#source[this.#at] ?? ''
  }

  #isNext(sign: string): boolean {
    return this.#source[this.#at] === sign
  }

  #take(sign: string): boolean {
    if (!this.#isNext(sign)) return false
    this.#at++
    return true
  }

  #character(): number {
    const code = this.#source.codePointAt(this.#at)
    if (code === undefined) throw new PatternError('it ends too early')
    this.#at += code > 0xffff ? 2 : 1
    return code
  }

  /** The expressions used here are sticky, and none of them backtracks over more than a few characters. */
  #match(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.#at
    const found = expression.exec(this.#source)
    if (found) this.#at = expression.lastIndex
    return found
  }
}

/** `copies`: how often its innermost part is repeated by counts. */
interface Repeatable {
  node: Node
  copies: number
}

interface Repetition {
  min: number
  max: number
  text: string
}

const CONTROLS: ReadonlyMap<string, number> = new Map([
  ['a', 7],
  ['f', 12],
  ['t', 9],
  ['n', 10],
  ['r', 13],
  ['v', 11],
])
