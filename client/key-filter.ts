/**
 * Which keys of a topic a replica keeps, as one text: stored with what was fetched by it, compared, and handed between
 * contexts. Keys and prefixes are in it as strings of their bytes, so any key will do.
 */
import type { ChosenKeys } from './consumer/chosen-keys.ts'
import type { ReplicaPolicy } from './core.ts'
import { OttlaError } from './errors.ts'

/** The relay's own bounds. */
const KEYS_MAX = 1_000
const PREFIXES_MAX = 32
const BYTES_MAX = 64 * 1024

interface Keys {
  keys: string[]
  prefixes: string[]
}

const utf8 = new TextEncoder()

/** undefined: all keys. Throws INVALID_ARGUMENT for what no relay takes. */
export function filterOf({ keys, prefixes }: Pick<ReplicaPolicy, 'keys' | 'prefixes'>): string | undefined {
  if (keys === undefined && prefixes === undefined) return undefined
  return checked({ keys: (keys ?? []).map(textOf), prefixes: (prefixes ?? []).map(textOf) })
}

/** As a reader of the replica sees it. */
export function chosenBy(policy: ReplicaPolicy): ChosenKeys {
  const filter = filterOf(policy)!
  return { matches: matcherOf(filter), hasAll: (held) => covers(held, filter) }
}

/** As the relay is asked. */
export function wireFilter(filter: string): { keys: Uint8Array[]; prefixes: Uint8Array[] } {
  const { keys, prefixes } = parse(filter)
  return { keys: keys.map(bytesOf), prefixes: prefixes.map(bytesOf) }
}

/** `policy`, and beside its keys those of the one before: what is kept for one reader is not dropped for another. */
export function widened(former: ReplicaPolicy | null, { keys, prefixes, ...asked }: ReplicaPolicy): ReplicaPolicy {
  const priority = asked.priority ?? former?.priority
  const policy = priority === undefined ? asked : { ...asked, priority }
  const wanted = filterOf({ keys, prefixes })
  const filter = former ? joined(filterOf(former), wanted) : wanted
  return filter === undefined ? policy : { ...policy, ...wireFilter(filter) }
}

/** What keeps all that either keeps. Throws INVALID_ARGUMENT when that is more than a relay takes. */
function joined(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return undefined
  const [one, other] = [parse(a), parse(b)]
  return checked({ keys: [...one.keys, ...other.keys], prefixes: [...one.prefixes, ...other.prefixes] })
}

/** Whether all that `wanted` keeps was kept by `held`. */
export function covers(held: string | undefined, wanted: string | undefined): boolean {
  if (held === undefined || held === wanted) return true
  if (wanted === undefined) return false
  const [have, want] = [parse(held), parse(wanted)]
  const hasPrefixOf = (text: string) => have.prefixes.some((prefix) => text.startsWith(prefix))
  return want.keys.every((key) => have.keys.includes(key) || hasPrefixOf(key)) && want.prefixes.every(hasPrefixOf)
}

/** Batches come whole, so records beside those that were asked for come too: this tells them apart. */
export function matcherOf(filter: string): (key: Uint8Array | null) => boolean {
  const { keys, prefixes } = parse(filter)
  const wanted = new Set(keys)
  return (key) => {
    if (!key) return false
    const text = textOf(key)
    return wanted.has(text) || prefixes.some((prefix) => text.startsWith(prefix))
  }
}

/** Sorted, each once, and nothing that a prefix has already. */
function checked({ keys, prefixes }: Keys): string {
  const shortest: string[] = []
  for (const prefix of [...prefixes].sort()) {
    const isCovered = shortest.length > 0 && prefix.startsWith(shortest.at(-1)!)
    if (!isCovered) shortest.push(prefix)
  }
  const apart = [...new Set(keys)].filter((key) => !shortest.some((prefix) => key.startsWith(prefix))).sort()
  const sizeBytes = [...shortest, ...apart].reduce((sum, { length }) => sum + length, 0)
  if (apart.length + shortest.length === 0) throw invalid('keys and prefixes are empty: nothing would be kept')
  if (apart.length > KEYS_MAX) throw invalid(`${apart.length} keys; at most ${KEYS_MAX} can be asked for`)
  if (shortest.length > PREFIXES_MAX)
    throw invalid(`${shortest.length} prefixes; at most ${PREFIXES_MAX} can be asked for`)
  if (sizeBytes > BYTES_MAX) throw invalid(`keys of ${sizeBytes} bytes in all; at most ${BYTES_MAX} can be asked for`)
  return JSON.stringify({ keys: apart, prefixes: shortest })
}

const parse = (filter: string): Keys => JSON.parse(filter)

function textOf(key: string | Uint8Array): string {
  let text = ''
  for (const byte of typeof key === 'string' ? utf8.encode(key) : key) text += String.fromCharCode(byte)
  return text
}

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))

const invalid = (message: string) =>
  new OttlaError('INVALID_ARGUMENT', {
    message,
    hint: 'use a prefix, keep the whole topic, or stop replicating it first',
  })
