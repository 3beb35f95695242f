/** Takes out of an answer what differs between any two brokers, and keeps what is the same within one. */

/** Masked to a number by order of appearance: equal ones stay equal. */
const IDENTITIES = new Set([
  'topicId',
  'memberId',
  'leader',
  'producerId',
  'coordinatorKey',
  'brokerId',
  'nodeId',
  'controllerId',
])
const TEXTS = new Set(['documentation', 'clientHost', 'host', 'rack', 'logDir'])
const DROPPED = new Set([
  'throttleTimeMs',
  'errorMessage',
  'batchIndexErrorMessage',
  'port',
  'clusterId',
  'topicAuthorizedOperations',
  'clusterAuthorizedOperations',
])
/** Told from the first one that is seen: they only ever grow by one. */
const EPOCHS = new Set(['memberEpoch', 'groupEpoch', 'assignmentEpoch'])
const TIMES = new Set(['logAppendTimeMs'])
const NO_ID = 'AAAAAAAAAAAAAAAAAAAAAA'

export class Mask {
  readonly #prefix: string
  readonly #address: string
  readonly #seen = new Map<string, string>()
  #firstEpoch: number | undefined

  constructor(prefix: string, address: string) {
    this.#prefix = prefix
    this.#address = address
  }

  apply(value: unknown, key = ''): unknown {
    if (value instanceof Uint8Array) return this.#text(Buffer.from(value).toString('hex'))
    if (Array.isArray(value)) return value.map((each) => this.apply(each, key))
    if (value !== null && typeof value === 'object') return this.#object(value)
    if (IDENTITIES.has(key)) return this.#identity(key, value)
    if (TEXTS.has(key)) return value === null || value === '' ? value : 'text'
    if (EPOCHS.has(key)) return this.#epoch(value as number)
    if (TIMES.has(key)) return typeof value === 'number' && value > 0 ? 'time' : value
    return typeof value === 'string' ? this.#text(value) : value
  }

  #object(value: object): Record<string, unknown> {
    const entries = Object.entries(value).filter(([name]) => !DROPPED.has(name))
    return Object.fromEntries(entries.map(([name, each]) => [name, this.apply(each, name)]))
  }

  #identity(key: string, value: unknown): unknown {
    if (value === null || value === '' || value === -1 || value === NO_ID) return value
    const known = this.#seen.get(`${key}/${value}`)
    if (known) return known
    const kind = key === 'leader' ? 'memberId' : key
    const alias =
      this.#seen.get(`${kind}/${value}`) ??
      `${kind}#${[...this.#seen.values()].filter((seen) => seen.startsWith(`${kind}#`)).length}`
    this.#seen.set(`${key}/${value}`, alias)
    this.#seen.set(`${kind}/${value}`, alias)
    return alias
  }

  #epoch(value: number): number {
    if (value <= 0) return value
    this.#firstEpoch ??= value
    return value - this.#firstEpoch + 1
  }

  #text(text: string): string {
    return text.replaceAll(this.#prefix, '').replaceAll(this.#address, 'ADDRESS')
  }
}
