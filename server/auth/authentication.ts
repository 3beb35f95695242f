/**
 * How somebody signs in to this relay: which mechanisms there are, against what they check, and what a failure costs.
 *
 * Without mechanisms (the default) everybody is let in as ANONYMOUS.
 */
import { type Clock, sleep } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { ConfigError, type RelayConfig } from '../config.ts'
import type { Facts } from '../engine.ts'
import type { LimitedLog } from '../limited-log.ts'
import { type Files, readWholeFile } from '../storage/files.ts'
import { bearerExchange } from './bearer-exchange.ts'
import type { Exchange } from './exchange.ts'
import { plainExchange } from './plain-exchange.ts'
import type { ScramMechanism } from './scram-credential.ts'
import { scramExchange } from './scram-exchange.ts'
import type { TokenCheck, TokenCheckOptions } from './token-check.ts'
import { Users } from './users.ts'
import { usersIn } from './users-file.ts'

export type Mechanism = RelayConfig['saslEnabledMechanisms'][number]

/** Guessing is slow, whatever the reason of a failure. */
const FAILURE_DELAY_MS = 100
const SECRET_KEY = 'auth/secret'
const SECRET_BYTES = 32

export interface AuthenticationOptions {
  config: Pick<RelayConfig, 'saslEnabledMechanisms' | 'usersFile' | 'connectionsMaxReauthMs'> &
    TokenCheckOptions['config']
  facts: Facts
  files: Files
  clock: Clock
  random: Random
  noise: LimitedLog
}

export class Authentication {
  readonly mechanisms: readonly Mechanism[]
  readonly users: Users
  /** Other accounts of this machine can read the passwords in it. */
  readonly isUsersFileOpen: boolean
  /** How often somebody could not sign in, since the start. */
  failureCount = 0
  readonly #options: AuthenticationOptions
  #tokens: TokenCheck | undefined

  /** Throws ConfigError for a users file, or keys of tokens, that cannot be used. */
  static async open(options: AuthenticationOptions): Promise<Authentication> {
    const { facts, random } = options
    let secret = facts.get(SECRET_KEY)
    if (typeof secret !== 'string') {
      secret = Buffer.from(random.bytes(SECRET_BYTES)).toString('base64')
      if (options.config.saslEnabledMechanisms.length > 0) await facts.put(SECRET_KEY, secret)
    }
    const users = new Users(facts, await usersFromFile(options), Buffer.from(secret as string, 'base64'))
    const { files, config } = options
    const isOpen = config.usersFile !== '' && (await files.stat(config.usersFile))?.isOpenToOthers === true
    const authentication = new Authentication(options, users, isOpen)
    if (authentication.isEnabled('OAUTHBEARER')) {
      // Loaded by those who use it.
      const { TokenCheck } = await import('./token-check.ts')
      authentication.#tokens = await TokenCheck.open(options)
    }
    return authentication
  }

  constructor(options: AuthenticationOptions, users: Users, isUsersFileOpen: boolean) {
    this.isUsersFileOpen = isUsersFileOpen
    this.#options = options
    this.mechanisms = options.config.saslEnabledMechanisms as readonly Mechanism[]
    this.users = users
  }

  get isRequired(): boolean {
    return this.mechanisms.length > 0
  }

  get clock(): Clock {
    return this.#options.clock
  }

  /** The longest that anybody stays signed in; 0 when there is no such time. */
  get sessionMsMax(): number {
    return this.#options.config.connectionsMaxReauthMs
  }

  isEnabled(mechanism: string): mechanism is Mechanism {
    return (this.mechanisms as readonly string[]).includes(mechanism)
  }

  begin(mechanism: Mechanism): Exchange {
    if (mechanism === 'PLAIN') return plainExchange(this.users)
    if (mechanism === 'OAUTHBEARER') return bearerExchange(this.#tokens!)
    return scramExchange(mechanism satisfies ScramMechanism, this.users, this.#options.random)
  }

  /** Notes it, without what was sent, and takes its time. */
  async refuse(remote: string, mechanism: string, reason: string): Promise<void> {
    this.failureCount++
    this.#options.noise.warn('authentication failed', { remote, mechanism, reason, failures: this.failureCount })
    await sleep(this.#options.clock, FAILURE_DELAY_MS)
  }
}

async function usersFromFile({ config: { usersFile }, files, random }: AuthenticationOptions) {
  if (usersFile === '') return new Map()
  const bytes = await readWholeFile(files, usersFile)
  if (!bytes) throw new ConfigError('users-file', usersFile, 'a file that is there')
  return usersIn(new TextDecoder().decode(bytes), usersFile, random)
}
