/** What an operator should hear at the start: who could come in, or listen, at the address that was chosen. */
import type { RelayConfig } from '../config.ts'

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|::1|\[::1\])$/i

export function exposureWarnings(
  {
    host,
    saslEnabledMechanisms,
    usersFile,
    saslOauthbearerExpectedAudience,
  }: Pick<RelayConfig, 'host' | 'saslEnabledMechanisms' | 'usersFile' | 'saslOauthbearerExpectedAudience'>,
  { hasUsers, isUsersFileOpen }: { hasUsers: boolean; isUsersFileOpen: boolean },
): string[] {
  const warnings: string[] = []
  const isReachable = !LOOPBACK.test(host)
  if (isReachable && saslEnabledMechanisms.length === 0)
    warnings.push(`everybody who reaches ${host} may read and write everything: set sasl-enabled-mechanisms`)
  if (isReachable && saslEnabledMechanisms.includes('PLAIN'))
    warnings.push(
      `passwords of PLAIN can be read by whoever is between ${host} and its clients: use SCRAM, or TLS in front`,
    )
  const takesTokens = saslEnabledMechanisms.includes('OAUTHBEARER')
  if (takesTokens && saslOauthbearerExpectedAudience.length === 0)
    warnings.push(
      "a token that was made for somebody else's service is taken too: set sasl-oauthbearer-expected-audience",
    )
  if (saslEnabledMechanisms.length > 0 && !takesTokens && usersFile === '' && !hasUsers)
    warnings.push('nobody can sign in: no users-file is given and no users have been made')
  if (isUsersFileOpen) warnings.push(`other accounts of this machine can read ${usersFile}: chmod 600`)
  return warnings
}
