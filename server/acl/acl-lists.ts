/**
 * The access control lists: facts of the engine, each line under its own key, and by resource in memory, so that a
 * decision looks at the lines that concern it and at no others.
 */

import { KafkaError } from '../../protocol/errors.ts'
import { Emitter } from '../../protocol/lib/events.ts'
import type { Facts } from '../engine.ts'
import { type Acl, type AclFilter, ANY_NAME, isMeant, PatternCode } from './acl.ts'

const KEY = 'acl/'
export const ACLS_MAX = 100_000

/** Of one type of resource. */
class Lists {
  readonly literal = new Map<string, Map<string, Acl>>()
  readonly prefixed = new Map<string, Map<string, Acl>>()
  #lengths: number[] | undefined

  /** Of the prefixes, each once. */
  get prefixLengths(): readonly number[] {
    this.#lengths ??= [...new Set([...this.prefixed.keys()].map(({ length }) => length))]
    return this.#lengths
  }

  changed(): void {
    this.#lengths = undefined
  }

  byName({ patternType }: Acl): Map<string, Map<string, Acl>> {
    return patternType === PatternCode.prefixed ? this.prefixed : this.literal
  }
}

export class AclLists {
  readonly onChanged = new Emitter<void>()
  readonly #facts: Facts
  readonly #all = new Map<string, Acl>()
  readonly #byType = new Map<number, Lists>()
  #lastChange: Promise<unknown> = Promise.resolve()

  constructor(facts: Facts) {
    this.#facts = facts
    for (const [key, value] of facts.entries(KEY)) if (value) this.#hold(keyOf(aclIn(key)), aclIn(key))
  }

  get count(): number {
    return this.#all.size
  }

  /** Holds when it resolves, and is on disk. A line that is there already stays. */
  add(acl: Acl): Promise<void> {
    return this.#inTurn(async () => {
      const key = keyOf(acl)
      if (this.#all.has(key)) return
      if (this.#all.size >= ACLS_MAX)
        throw new KafkaError('POLICY_VIOLATION', `there are ${ACLS_MAX} lines already; use prefixes`)
      await this.#facts.put(key, true)
      this.#hold(key, acl)
      this.onChanged.emit()
    })
  }

  /** All that are meant by the filter, and are no more. */
  remove(filter: AclFilter): Promise<Acl[]> {
    return this.#inTurn(async () => {
      const doomed = this.find(filter)
      for (const acl of doomed) {
        await this.#facts.put(keyOf(acl), null)
        this.#letGo(acl)
      }
      if (doomed.length > 0) this.onChanged.emit()
      return doomed
    })
  }

  find(filter: AclFilter): Acl[] {
    return [...this.#all.values()].filter((acl) => isMeant(acl, filter))
  }

  /** The lines that speak of a resource: by its name, by a prefix of it, or of all. */
  *about(resourceType: number, name: string): Iterable<Acl> {
    const lists = this.#byType.get(resourceType)
    if (!lists) return
    yield* lists.literal.get(name)?.values() ?? []
    if (name !== ANY_NAME) yield* lists.literal.get(ANY_NAME)?.values() ?? []
    for (const length of lists.prefixLengths)
      if (length <= name.length) yield* lists.prefixed.get(name.slice(0, length))?.values() ?? []
  }

  *ofType(resourceType: number): Iterable<Acl> {
    for (const acl of this.#all.values()) if (acl.resourceType === resourceType) yield acl
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const acting = this.#lastChange.then(act)
    this.#lastChange = acting.catch(() => {})
    return acting
  }

  #hold(key: string, acl: Acl): void {
    this.#all.set(key, acl)
    let lists = this.#byType.get(acl.resourceType)
    if (!lists) {
      lists = new Lists()
      this.#byType.set(acl.resourceType, lists)
    }
    const names = lists.byName(acl)
    const ofName = names.get(acl.resourceName) ?? new Map<string, Acl>()
    names.set(acl.resourceName, ofName.set(key, acl))
    lists.changed()
  }

  #letGo(acl: Acl): void {
    const key = keyOf(acl)
    this.#all.delete(key)
    const lists = this.#byType.get(acl.resourceType)!
    const names = lists.byName(acl)
    const ofName = names.get(acl.resourceName)!
    ofName.delete(key)
    if (ofName.size === 0) names.delete(acl.resourceName)
    lists.changed()
  }
}

type Fields = [number, string, number, string, string, number, number]

function keyOf(acl: Acl): string {
  const { resourceType, resourceName, patternType, principal, host, operation, permissionType } = acl
  const fields: Fields = [resourceType, resourceName, patternType, principal, host, operation, permissionType]
  return KEY + JSON.stringify(fields)
}

function aclIn(key: string): Acl {
  const fields = JSON.parse(key.slice(KEY.length)) as Fields
  const [resourceType, resourceName, patternType, principal, host, operation, permissionType] = fields
  return { resourceType, resourceName, patternType, principal, host, operation, permissionType }
}
