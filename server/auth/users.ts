/**
 * Who may sign in with a password: those of the users file, which is read at the start, and those that an administrator
 * has made (AlterUserScramCredentials), which are facts of the engine. The latter come first.
 *
 * A name that nobody has gets a credential that no password fits, always the same for the same name, and of a kind that
 * some user has: as many rounds, so that nobody can find out who is there by asking or by measuring time.
 */
import { createHmac } from 'node:crypto'
import type { Facts } from '../engine.ts'
import type { Identity } from './exchange.ts'
import {
  hashBytesOf,
  ITERATIONS_MIN,
  SALT_BYTES,
  SCRAM_MECHANISMS,
  type ScramCredential,
  type ScramMechanism,
} from './scram-credential.ts'

/** Who everybody is while nobody has to sign in. No user may have this name. */
export const ANONYMOUS = 'ANONYMOUS'
const NAME_LENGTH_MAX = 255

const KEY = 'scram/'
/** Derivations at a time: the threads that do them also sync the log. */
const AT_ONCE = 2

export const USER_NAME_RULE = `1 to ${NAME_LENGTH_MAX} characters that can be seen, and not ${ANONYMOUS}`
export const isUserName = (name: string): boolean =>
  name !== '' && name.length <= NAME_LENGTH_MAX && name !== ANONYMOUS && !/\p{Cc}/u.test(name)

export type Credentials = Partial<Record<ScramMechanism, ScramCredential>>

type Stored = Partial<
  Record<ScramMechanism, { salt: string; iterations: number; storedKey: string; serverKey: string }>
>

/** Against what somebody is checked: the credential of a SCRAM mechanism, or for PLAIN the first that there is. */
type Way = ScramMechanism | 'password'

/** What can be seen of a credential from outside. */
interface Kind {
  mechanism: ScramMechanism
  iterations: number
}

export interface FoundCredential {
  credential: ScramCredential
  /** False for somebody who is not there, or has none of this kind. */
  isReal: boolean
}

export class Users {
  readonly #facts: Facts
  readonly #fromFile: ReadonlyMap<string, Credentials>
  readonly #secret: Uint8Array
  readonly #stored = new Map<string, Credentials>()
  readonly #waiting: Array<() => void> = []
  #running = 0
  #kinds: Map<Way, Set<string>> | undefined
  #lastChange: Promise<void> = Promise.resolve()

  /** `secret` makes up the credentials of those who are not there. It must outlive restarts. */
  constructor(facts: Facts, fromFile: ReadonlyMap<string, Credentials>, secret: Uint8Array) {
    this.#facts = facts
    this.#fromFile = fromFile
    this.#secret = secret
    for (const [key, value] of facts.entries(KEY)) this.#stored.set(key.slice(KEY.length), restored(value as Stored))
  }

  /** Those with stored credentials, sorted. Users of the file are the file's. */
  *stored(): Iterable<[name: string, credentials: Credentials]> {
    for (const name of [...this.#stored.keys()].sort()) yield [name, this.#stored.get(name)!]
  }

  storedFor(name: string): Credentials | undefined {
    return this.#stored.get(name)
  }

  /** One change after another. Resolves when it is on disk, and holds from then on; rejects with what `change` throws. */
  change(name: string, change: (held: Credentials) => Credentials): Promise<void> {
    const changing = this.#lastChange.then(() => this.#store(name, change(this.#stored.get(name) ?? {})))
    this.#lastChange = changing.catch(() => {})
    return changing
  }

  async #store(name: string, credentials: Credentials): Promise<void> {
    const isEmpty = Object.keys(credentials).length === 0
    await this.#facts.put(KEY + name, isEmpty ? null : storable(credentials))
    if (isEmpty) this.#stored.delete(name)
    else this.#stored.set(name, credentials)
    this.#kinds = undefined
  }

  /** A session lasts as long as its user: who is taken away is out. A new password leaves those who are in. */
  identityOf(name: string): Identity {
    return { name, stillHolds: () => this.#stored.has(name) || this.#fromFile.has(name) }
  }

  forScram(mechanism: ScramMechanism, name: string): FoundCredential {
    const found = this.#stored.get(name)?.[mechanism] ?? this.#fromFile.get(name)?.[mechanism]
    if (found) return { credential: found, isReal: true }
    return { credential: this.#madeUp(name, this.#kindFor(name, mechanism)), isReal: false }
  }

  /** Any kind that the user has will do to check a password against. */
  forPassword(name: string): FoundCredential & { mechanism: ScramMechanism } {
    for (const mechanism of SCRAM_MECHANISMS) {
      const found = this.forScram(mechanism, name)
      if (found.isReal) return { mechanism, ...found }
    }
    const kind = this.#kindFor(name, 'password')
    return { mechanism: kind.mechanism, credential: this.#madeUp(name, kind), isReal: false }
  }

  /** For work that takes a thread for milliseconds: a flood of logins must not keep the log from syncing. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running === AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  /** One of those that are in use, the same for the same name until others are. */
  #kindFor(name: string, way: Way): Kind {
    this.#kinds ??= this.#kindsInUse()
    const kinds = [...(this.#kinds.get(way) ?? [])].sort()
    const choice = createHmac('sha256', this.#secret).update(`kind\0${way}\0${name}`).digest().readUInt32BE()
    const whenNone = `${way === 'password' ? SCRAM_MECHANISMS[0] : way} ${ITERATIONS_MIN}`
    const [mechanism, iterations] = (kinds[choice % kinds.length] ?? whenNone).split(' ')
    return { mechanism: mechanism as ScramMechanism, iterations: Number(iterations) }
  }

  #kindsInUse(): Map<Way, Set<string>> {
    const kinds = new Map<Way, Set<string>>()
    for (const credentials of [...this.#stored.values(), ...this.#fromFile.values()]) {
      const own = SCRAM_MECHANISMS.filter((mechanism) => credentials[mechanism])
      const note = (way: Way, mechanism: ScramMechanism) => {
        kinds.set(way, (kinds.get(way) ?? new Set()).add(`${mechanism} ${credentials[mechanism]!.iterations}`))
      }
      for (const mechanism of own) note(mechanism, mechanism)
      if (own[0]) note('password', own[0])
    }
    return kinds
  }

  #madeUp(name: string, { mechanism, iterations }: Kind): ScramCredential {
    const bytes = (what: string, count: number) =>
      createHmac('sha512', this.#secret).update(`${what}\0${mechanism}\0${name}`).digest().subarray(0, count)
    const keyBytes = hashBytesOf(mechanism)
    return {
      salt: bytes(`salt ${iterations}`, SALT_BYTES),
      iterations,
      storedKey: bytes('stored', keyBytes),
      serverKey: bytes('server', keyBytes),
    }
  }
}

function storable(credentials: Credentials): Stored {
  const entries = Object.entries(credentials).map(([mechanism, { salt, iterations, storedKey, serverKey }]) => {
    const [saltText, storedText, serverText] = [salt, storedKey, serverKey].map((bytes) => bytes.toString('base64'))
    return [mechanism, { salt: saltText, iterations, storedKey: storedText, serverKey: serverText }]
  })
  return Object.fromEntries(entries) as Stored
}

function restored(stored: Stored): Credentials {
  const entries = Object.entries(stored).map(([mechanism, { salt, iterations, storedKey, serverKey }]) => {
    const bytes = (text: string) => Buffer.from(text, 'base64')
    return [mechanism, { salt: bytes(salt), iterations, storedKey: bytes(storedKey), serverKey: bytes(serverKey) }]
  })
  return Object.fromEntries(entries) as Credentials
}
