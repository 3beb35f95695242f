/** Users that sign in with SCRAM, as far as a broker tells of them. */
import { type AdminDriver, type AdminOptions, type Verdict, verdict } from './driver.ts'
import { type PerEntry, perEntry } from './outcomes.ts'

const MECHANISMS = { 'SCRAM-SHA-256': 1, 'SCRAM-SHA-512': 2 } as const

export type ScramMechanism = keyof typeof MECHANISMS

export interface ScramUser {
  user: string
  credentials: Array<{ mechanism: ScramMechanism | 'unknown'; iterations: number }>
}

const RESOURCE_NOT_FOUND = 91

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
