/**
 * The records that a subscription asked for: those with one of some keys, or whose key begins with one of some prefixes.
 * Keys are compared as strings of their bytes (latin1), which are equal when the bytes are.
 *
 * Bounded before anything is looked at: a filter is asked once for each batch that its subscription comes by.
 */
export const FILTER_KEYS_MAX = 1_000
export const FILTER_PREFIXES_MAX = 32
export const FILTER_BYTES_MAX = 64 * 1024
/** All filters of one connection. */
export const PEER_FILTER_BYTES_MAX = 1024 * 1024

export class KeyFilter {
  readonly sizeBytes: number
  readonly #keys: ReadonlySet<string>
  readonly #prefixes: readonly string[]

  constructor(keys: readonly Uint8Array[], prefixes: readonly Uint8Array[]) {
    this.#keys = new Set(keys.map(textOf))
    this.#prefixes = prefixes.map(textOf)
    this.sizeBytes = sizeOf(keys) + sizeOf(prefixes)
  }

  /** Whether any of these keys is wanted. */
  matchesAny(keys: ReadonlySet<string>): boolean {
    const [fewer, more] = keys.size < this.#keys.size ? [keys, this.#keys] : [this.#keys, keys]
    for (const key of fewer) if (more.has(key)) return true
    for (const prefix of this.#prefixes) for (const key of keys) if (key.startsWith(prefix)) return true
    return false
  }
}

/** undefined: everything is wanted. null: it is larger than a filter may be. */
export function keyFilterOf(
  keys: readonly Uint8Array[],
  prefixes: readonly Uint8Array[],
): KeyFilter | null | undefined {
  if (keys.length === 0 && prefixes.length === 0) return undefined
  if (keys.length > FILTER_KEYS_MAX || prefixes.length > FILTER_PREFIXES_MAX) return null
  const filter = new KeyFilter(keys, prefixes)
  return filter.sizeBytes > FILTER_BYTES_MAX ? null : filter
}

export const textOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')

const sizeOf = (all: readonly Uint8Array[]): number => all.reduce((sum, { length }) => sum + length, 0)
