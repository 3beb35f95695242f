/** Users that sign in with SCRAM, as far as a broker tells of them. Passwords are salted here and never travel. */
import { saltPassword } from '../sign-in/scram-keys.ts'
import { type AdminDriver, type AdminOptions, type Verdict, verdict } from './driver.ts'
import { type PerEntry, perEntry } from './outcomes.ts'

const MECHANISMS = { 'SCRAM-SHA-256': 1, 'SCRAM-SHA-512': 2 } as const

export type ScramMechanism = keyof typeof MECHANISMS

export interface ScramUser {
  user: string
  credentials: Array<{ mechanism: ScramMechanism | 'unknown'; iterations: number }>
}

export type ScramAlteration = { user: string; mechanism: ScramMechanism } & (
  | { password: string; iterations?: number }
  | { remove: true }
)

const RESOURCE_NOT_FOUND = 91
const ITERATIONS = 8192
const SALT_BYTES = 24

/**
 * Makes users, changes their passwords, takes them away. All that is asked of one user is done, or nothing. Rejects
 * UNSUPPORTED in pages without Web Crypto (http:// elsewhere than on this machine).
 */
export function alterUserScramCredentials(
  driver: AdminDriver,
  alterations: readonly ScramAlteration[],
  options: AdminOptions = {},
): PerEntry<string, string> {
  return driver.run(options).each<string, string>({
    entries: [...new Set(alterations.map(({ user }) => user))],
    where: () => 'controller',
    doing: (user) => `changing the credentials of ${user}`,
    isChange: true,
    async ask(users, ask) {
      const own = alterations.filter(({ user }) => users.includes(user))
      const deletions = own
        .filter((each) => 'remove' in each)
        .map(({ user, mechanism }) => ({ name: user, mechanism: MECHANISMS[mechanism] }))
      const upsertions = await Promise.all(own.flatMap((each) => ('password' in each ? [upsertion(each)] : [])))
      const { results } = await ask('AlterUserScramCredentials', { deletions, upsertions })
      return users.map((name) =>
        verdict(
          results.find(({ user }) => user === name),
          () => name,
        ),
      )
    },
  })
}

async function upsertion({
  user,
  mechanism,
  password,
  iterations = ITERATIONS,
}: Extract<ScramAlteration, { password: string }>) {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES))
  const saltedPassword = await saltPassword(mechanism, password, { salt, iterations })
  return { name: user, mechanism: MECHANISMS[mechanism], iterations, salt, saltedPassword }
}

/** Default: all users. Rejects RELAY with kafkaCode 91 for one that is not there. */
export function describeUserScramCredentials(
  driver: AdminDriver,
  users?: readonly string[],
  options: AdminOptions = {},
): PerEntry<string, ScramUser> {
  const run = driver.run(options)
  const described = run.one('any', 'describing credentials', async (ask) => {
    const answer = await ask('DescribeUserScramCredentials', { users: users?.map((name) => ({ name })) ?? null })
    return verdict(answer, ({ results }) => results)
  })
  const outcomes = described.then((results) => {
    const byUser = new Map(results.map((result) => [result.user, result]))
    return run
      .each<string, ScramUser>({
        entries: users ?? [...byUser.keys()],
        doing: (user) => `describing the credentials of ${user}`,
        ask: async (entries) =>
          entries.map((user): Verdict<ScramUser> => {
            const found = byUser.get(user)
            return found ? verdict(found, scramUser) : { errorCode: RESOURCE_NOT_FOUND }
          }),
      })
      .settled()
  })
  return perEntry(outcomes)
}

interface Described {
  user: string
  errorCode: number
  credentialInfos: ReadonlyArray<{ mechanism: number; iterations: number }>
}

function scramUser({ user, credentialInfos }: Described): ScramUser {
  const nameOf = (code: number) =>
    (Object.keys(MECHANISMS) as ScramMechanism[]).find((name) => MECHANISMS[name] === code) ?? 'unknown'
  return {
    user,
    credentials: credentialInfos.map(({ mechanism, iterations }) => ({ mechanism: nameOf(mechanism), iterations })),
  }
}
