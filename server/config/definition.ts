/**
 * What a configuration value may be: one definition per key, after Kafka's ConfigDef.
 *
 * Invariants: every value that leaves `parse` lies in the range that `describeRange` prints; every
 * refusal is a `ConfigError` that names the key, the value and what is allowed.
 */

export type ConfigType = 'int' | 'long' | 'double' | 'boolean' | 'string' | 'list'

/** One configuration key. `parse` accepts text (flags, environment, files, Kafka requests) and JSON values alike. */
export interface ConfigDefinition<T> {
  /** The key as Kafka or the command line spells it: `retention.ms`, `http-port`. */
  readonly name: string
  readonly type: ConfigType
  readonly defaultValue: T
  /** `ms`, `bytes`, `connections`; absent where the value has no unit. */
  readonly unit?: string
  /** One or two sentences, shown by `--help` and by DescribeConfigs. */
  readonly doc: string
  /** What is allowed, in words: `1 to 65535`, `text or json`. */
  readonly range: string
  /** @throws ConfigError when the value has the wrong type or lies out of range. */
  parse(raw: unknown): T
  /** The value as text, as DescribeConfigs reports it. */
  format(value: T): string
}

export type ConfigTable = { readonly [key: string]: ConfigDefinition<unknown> }

/** The values that a table of definitions describes. */
export type ConfigValues<Table> = {
  -readonly [Key in keyof Table]: Table[Key] extends ConfigDefinition<infer Value> ? Value : never
}

/** A configuration value that cannot be used. The text is fit to be shown to the operator as it is. */
export class ConfigError extends Error {
  readonly key: string
  readonly value: unknown
  readonly allowed: string

  constructor(key: string, value: unknown, allowed: string, remedy?: string) {
    super(`${key}: ${show(value)} is not allowed; use ${allowed}${remedy ? ` (${remedy})` : ''}`)
    this.name = 'ConfigError'
    this.key = key
    this.value = value
    this.allowed = allowed
  }
}

interface Described<T> {
  name: string
  default: T
  unit?: string
  doc: string
}

interface WholeNumber extends Described<number> {
  type?: 'int' | 'long'
  min: number
  max?: number
  /** What an out-of-band value means, such as `-1: no limit`. */
  meaning?: string
}

export function wholeNumber(about: WholeNumber): ConfigDefinition<number> {
  const max = about.max ?? Number.MAX_SAFE_INTEGER
  const bound = max === Number.MAX_SAFE_INTEGER ? `${about.min} or more` : `${about.min} to ${max}`
  const range = `a whole number, ${bound}${about.meaning ? `; ${about.meaning}` : ''}`
  return {
    ...describe(about, about.type ?? 'long', range),
    parse(raw) {
      const value = typeof raw === 'string' && /^\s*[+-]?\d+\s*$/.test(raw) ? Number(raw) : raw
      if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < about.min || value > max) {
        throw new ConfigError(about.name, raw, range)
      }
      return value
    },
    format: String,
  }
}

/** A number, or one of a few words that stand for what no number says. */
export function numberOrWord<const Word extends string>(
  about: Omit<WholeNumber, 'default' | 'meaning'> & {
    default: Word
    /** Each with its meaning: `off: the door stays closed`. */
    words: Readonly<Record<Word, string>>
    /** Numbers that mean a word: -1 for `off`. */
    wordOf?: Readonly<Record<number, Word>>
  },
): ConfigDefinition<number | Word> {
  const meaning = Object.entries(about.words)
    .map(([word, says]) => `${word}: ${says}`)
    .join('; ')
  const number = wholeNumber({ ...about, default: about.min, meaning })
  return {
    ...describe(about as Described<number | Word>, 'string', number.range),
    parse(raw) {
      const word = typeof raw === 'string' ? raw.trim().toLowerCase() : raw
      if (typeof word === 'string' && Object.hasOwn(about.words, word)) return word as Word
      const meant = about.wordOf?.[Number(word)]
      return meant ?? number.parse(raw)
    },
    format: String,
  }
}

/** A share between 0 and 1. */
export function fraction(about: Described<number>): ConfigDefinition<number> {
  const range = 'a number from 0 to 1'
  return {
    ...describe(about, 'double', range),
    parse(raw) {
      const value = typeof raw === 'string' && /^\s*\d*\.?\d+\s*$/.test(raw) ? Number(raw) : raw
      if (typeof value !== 'number' || !(value >= 0 && value <= 1)) throw new ConfigError(about.name, raw, range)
      return value
    },
    format: String,
  }
}

export function yesOrNo(about: Described<boolean>): ConfigDefinition<boolean> {
  const range = 'true or false'
  return {
    ...describe(about, 'boolean', range),
    parse(raw) {
      if (typeof raw === 'boolean') return raw
      const word = typeof raw === 'string' ? raw.trim().toLowerCase() : ''
      if (word === 'true') return true
      if (word === 'false') return false
      throw new ConfigError(about.name, raw, range)
    },
    format: String,
  }
}

export function text(about: Described<string> & { emptyAllowed?: boolean }): ConfigDefinition<string> {
  const range = about.emptyAllowed ? 'a text' : 'a text that is not empty'
  return {
    ...describe(about, 'string', range),
    parse(raw) {
      if (typeof raw !== 'string' || (raw.trim() === '' && !about.emptyAllowed)) {
        throw new ConfigError(about.name, raw, range)
      }
      return raw.trim()
    },
    format: (value) => value,
  }
}

interface Choice<Word extends string> extends Described<Word> {
  type?: 'string' | 'list'
  words: readonly Word[]
  /** Words that exist elsewhere (in Kafka), and the reason why not here. */
  refused?: Readonly<Record<string, string>>
  /** Other ways to say one of the words. */
  aliases?: Readonly<Record<string, NoInfer<Word>>>
}

/** One of a few words. As a list: one of a few lists, each as it is written. */
export function choice<const Word extends string>(about: Choice<Word>): ConfigDefinition<Word> {
  const range = about.words.join(' or ')
  const aliases = new Map<unknown, Word>(Object.entries(about.aliases ?? {}))
  return {
    ...describe(about, about.type ?? 'string', range),
    parse(raw) {
      const wanted = typeof raw === 'string' ? raw.replaceAll(/\s/g, '') : raw
      const word = about.words.find((candidate) => candidate === wanted) ?? aliases.get(wanted)
      if (word !== undefined) return word
      throw new ConfigError(about.name, raw, range, about.refused?.[String(wanted)])
    },
    format: (value) => value,
  }
}

/** Several texts, comma-separated in text form, an array in JSON. */
export function list(
  about: Described<readonly string[]> & { separator?: RegExp },
): ConfigDefinition<readonly string[]> {
  const range = 'texts separated by commas'
  return {
    ...describe(about, 'list', range),
    parse(raw) {
      const parts = typeof raw === 'string' ? raw.split(about.separator ?? ',') : raw
      if (!Array.isArray(parts)) throw new ConfigError(about.name, raw, range)
      return parts
        .map((part: unknown) => {
          if (typeof part !== 'string') throw new ConfigError(about.name, raw, range)
          return part.trim()
        })
        .filter((part) => part !== '')
    },
    format: (value) => value.join(','),
  }
}

interface Choices<Word extends string> extends Described<readonly Word[]> {
  words: readonly Word[]
  /** What Kafka calls them. */
  aliases?: Readonly<Record<string, Word>>
  emptyAllowed?: boolean
}

/** Some of a few words, in order of preference, each once, and one at least unless none is allowed. */
export function choices<const Word extends string>(about: Choices<Word>): ConfigDefinition<readonly Word[]> {
  const inner = list(about)
  const range = `${about.emptyAllowed ? 'none' : 'one'} or more of ${about.words.join(', ')}, separated by commas`
  return {
    ...describe(about, 'list', range),
    parse(raw) {
      const named = inner.parse(raw).map((each) => about.aliases?.[each] ?? each)
      const words = about.words.filter((word) => named.includes(word))
      const isTooFew = words.length === 0 && !about.emptyAllowed
      if (isTooFew || words.length < new Set(named).size) throw new ConfigError(about.name, raw, range)
      return [...new Set(named)] as Word[]
    },
    format: inner.format,
  }
}

function describe<T>(about: Described<T>, type: ConfigType, range: string) {
  return { name: about.name, type, defaultValue: about.default, unit: about.unit, doc: about.doc, range }
}

function show(value: unknown): string {
  const shown = typeof value === 'string' ? `'${value}'` : (JSON.stringify(value) ?? String(value))
  return shown.length > 80 ? `${shown.slice(0, 77)}...` : shown
}
