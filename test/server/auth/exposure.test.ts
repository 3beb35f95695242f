import { expect, test } from 'vitest'
import { exposureWarnings } from '../../../server/auth/exposure.ts'
import type { RelayConfig } from '../../../server/config.ts'

type Mechanisms = RelayConfig['saslEnabledMechanisms']

test.each<[string, Mechanisms, string, boolean, RegExp[]]>([
  ['127.0.0.1', [], '', false, []],
  ['localhost', ['PLAIN'], 'users', false, []],
  ['[::1]', [], '', false, []],
  ['0.0.0.0', [], '', false, [/everybody who reaches 0\.0\.0\.0/]],
  ['127.0.0.1.example.org', [], '', false, [/everybody/]],
  ['::', ['SCRAM-SHA-256'], 'users', false, []],
  ['10.0.0.1', ['PLAIN', 'SCRAM-SHA-512'], 'users', false, [/PLAIN/]],
  ['127.0.0.1', ['SCRAM-SHA-256'], '', false, [/nobody can sign in/]],
  ['127.0.0.1', ['SCRAM-SHA-256'], '', true, []],
  ['127.0.0.1', ['SCRAM-SHA-256'], 'users-for-all', false, [/can read users-for-all: chmod 600/]],
  ['127.0.0.1', ['OAUTHBEARER'], '', false, [/made for somebody else/]],
  ['10.0.0.1', ['PLAIN'], '', false, [/PLAIN/, /nobody can sign in/]],
])(
  '[SAS-14] at %s with %j and users from "%s" (others: %s)',
  (host, saslEnabledMechanisms, usersFile, hasUsers, says) => {
    const warnings = exposureWarnings(
      { host, saslEnabledMechanisms, usersFile, saslOauthbearerExpectedAudience: [] },
      { hasUsers, isUsersFileOpen: usersFile === 'users-for-all' },
    )
    expect(warnings).toHaveLength(says.length)
    for (const [index, pattern] of says.entries()) expect(warnings[index]).toMatch(pattern)
  },
)
