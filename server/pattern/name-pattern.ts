/**
 * A regular expression that selects topics (KIP-848) or transactional ids (KIP-1152), as RE2 reads it. Matching is a walk over
 * sets of states, linear in the name's length whatever the expression; its size is bounded before it is built.
 */
import { type CharacterSet, isWordCharacter } from './characters.ts'
import { type Node, PatternError, parsePattern } from './syntax.ts'

export { PatternError } from './syntax.ts'

/** Enough for any list of names; the longest name takes some milliseconds at worst. */
export const STATES_MAX = 1000

type Holds = Extract<Node, { kind: 'assertion' }>['holdsAt']

type State =
  | { kind: 'characters'; set: CharacterSet; next: number }
  | { kind: 'assertion'; holdsAt: Holds; next: number }
  | { kind: 'fork'; next: number; other: number }
  | { kind: 'end' }

/** Of one name, which may take many turns. */
export interface Walk {
  readonly name: string
  readonly isOver: boolean
  /** The whole name does; false before it is over. */
  readonly isMatch: boolean
  /** How many characters it went on. */
  advance(charactersMax: number): number
}

export class NamePattern {
  readonly #states: readonly State[]
  readonly #start: number
  readonly #sourceLength: number
  /** By state: the step in which it was last reached. */
  readonly #reachedIn: Uint32Array
  #step = 0

  /** Throws PatternError. */
  constructor(source: string) {
    this.#sourceLength = source.length
    const builder = new Builder()
    this.#start = builder.build(parsePattern(source), builder.add({ kind: 'end' }))
    this.#states = builder.states
    this.#reachedIn = new Uint32Array(builder.states.length)
  }

  /** What a character of a name may cost: the states that it passes, and the rules that it is held against. */
  get size(): number {
    return this.#states.length + this.#sourceLength
  }

  /** The whole name. */
  matches(name: string): boolean {
    const walk = this.walk(name)
    walk.advance(name.length)
    return walk.isMatch
  }

  /** One at a time. */
  walk(name: string): Walk {
    const states = this.#states
    let at = 0
    let current = this.#reach([this.#start], name, 0)
    const isOver = () => at >= name.length || current.length === 0
    return {
      name,
      advance: (charactersMax) => {
        let walked = 0
        for (; walked < charactersMax && !isOver(); walked++) {
          const code = name.codePointAt(at)!
          at += code > 0xffff ? 2 : 1
          current = this.#reach(this.#after(current, code), name, at)
        }
        return walked
      },
      get isOver() {
        return isOver()
      },
      get isMatch() {
        return at >= name.length && current.some((index) => states[index]!.kind === 'end')
      },
    }
  }

  #after(states: readonly number[], code: number): number[] {
    const next: number[] = []
    for (const index of states) {
      const state = this.#states[index]!
      if (state.kind === 'characters' && state.set.has(code)) next.push(state.next)
    }
    return next
  }

  /** Those and all that follow without a character, each once. */
  #reach(from: number[], name: string, at: number): number[] {
    const step = ++this.#step
    const reached: number[] = []
    const pending = from
    for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
      if (this.#reachedIn[index] === step) continue
      this.#reachedIn[index] = step
      const state = this.#states[index]!
      if (state.kind === 'fork') pending.push(state.next, state.other)
      else if (state.kind !== 'assertion') reached.push(index)
      else if (holds(state.holdsAt, name, at)) pending.push(state.next)
    }
    return reached
  }
}

function holds(what: Holds, name: string, at: number): boolean {
  if (what === 'start') return at === 0
  if (what === 'end') return at === name.length
  if (what === 'line start') return at === 0 || name[at - 1] === '\n'
  if (what === 'line end') return at === name.length || name[at] === '\n'
  const isBoundary = isWordAt(name, at - 1) !== isWordAt(name, at)
  return isBoundary === (what === 'word boundary')
}

function isWordAt(name: string, at: number): boolean {
  return at >= 0 && at < name.length && isWordCharacter(name.charCodeAt(at))
}

/** From the end to the beginning: each part is built knowing the state that follows it. */
class Builder {
  readonly states: State[] = []

  add(state: State): number {
    if (this.states.length >= STATES_MAX) throw new PatternError(`it takes more than ${STATES_MAX} states`)
    return this.states.push(state) - 1
  }

  build(node: Node, next: number): number {
    switch (node.kind) {
      case 'characters':
        return this.add({ kind: 'characters', set: node.set, next })
      case 'assertion':
        return this.add({ kind: 'assertion', holdsAt: node.holdsAt, next })
      case 'sequence':
        return node.parts.reduceRight((after, part) => this.build(part, after), next)
      case 'alternatives':
        return node.parts
          .map((part) => this.build(part, next))
          .reduce((other, start) => this.add({ kind: 'fork', next: start, other }))
      case 'repetition':
        return this.#repeat(node.part, node.min, node.max, next)
    }
  }

  #repeat(part: Node, min: number, max: number, next: number): number {
    let start = next
    if (max === Number.POSITIVE_INFINITY) {
      const loop: State & { kind: 'fork' } = { kind: 'fork', next, other: next }
      start = this.add(loop)
      loop.other = this.build(part, start)
    } else {
      for (let count = min; count < max; count++)
        start = this.add({ kind: 'fork', next, other: this.build(part, start) })
    }
    for (let count = 0; count < min; count++) start = this.build(part, start)
    return start
  }
}
