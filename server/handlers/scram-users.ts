/**
 * DescribeUserScramCredentials 0, AlterUserScramCredentials 0 (KIP-554): users that sign in by password, kept by the
 * relay. Clients salt the password themselves; neither it nor what is kept of it is ever told. Users of the users file are
 * the file's, and are neither listed nor changed here. A user is changed wholly or not at all.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { alterUserScramCredentials, describeUserScramCredentials } from '../../protocol/messages/scram.ts'
import {
  credentialFrom,
  hashBytesOf,
  ITERATIONS_MAX,
  ITERATIONS_MIN,
  SCRAM_MECHANISMS,
  type ScramMechanism,
} from '../auth/scram-credential.ts'
import { type Credentials, isUserName, USER_NAME_RULE, type Users } from '../auth/users.ts'
import { entry } from '../handler.ts'
import { errorFields } from './error-fields.ts'

const codeOf = (mechanism: ScramMechanism) => SCRAM_MECHANISMS.indexOf(mechanism) + 1

export const describeUserScramCredentialsHandler = entry(describeUserScramCredentials, 'each', ({ users }, context) => {
  if (!context.allows('describe', { type: 'cluster' })) {
    const errorMessage = 'not allowed to describe users'
    return { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, errorMessage, results: [] }
  }
  const known = context.services.authentication.users
  const names = users?.length ? users.map(({ name }) => name) : [...known.stored()].map(([name]) => name)
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  const results = [...counts].map(([name, count]) => described(name, count, known))
  return { errorCode: ErrorCode.NONE, errorMessage: null, results }
})

function described(user: string, count: number, users: Users) {
  const refused = (errorCode: number, errorMessage: string) => ({ user, errorCode, errorMessage, credentialInfos: [] })
  if (count > 1) return refused(ErrorCode.DUPLICATE_RESOURCE, 'asked for more than once')
  const credentials = users.storedFor(user)
  if (!credentials) return refused(ErrorCode.RESOURCE_NOT_FOUND, 'no such user here')
  const credentialInfos = SCRAM_MECHANISMS.flatMap((mechanism) => {
    const credential = credentials[mechanism]
    return credential ? [{ mechanism: codeOf(mechanism), iterations: credential.iterations }] : []
  })
  return { user, errorCode: ErrorCode.NONE, errorMessage: null, credentialInfos }
}

interface Deletion {
  name: string
  mechanism: number
}

interface Upsertion extends Deletion {
  iterations: number
  salt: Uint8Array
  saltedPassword: Uint8Array
}

interface Changes {
  deletions: Deletion[]
  upsertions: Upsertion[]
}

export const alterUserScramCredentialsHandler = entry(
  alterUserScramCredentials,
  'each',
  async ({ deletions, upsertions }, context) => {
    const { users } = context.services.authentication
    const isAllowed = context.allows('alter', { type: 'cluster' })
    const byUser = new Map<string, Changes>()
    const changesOf = (name: string) => {
      const changes = byUser.get(name) ?? { deletions: [], upsertions: [] }
      byUser.set(name, changes)
      return changes
    }
    for (const deletion of deletions) changesOf(deletion.name).deletions.push(deletion)
    for (const upsertion of upsertions) changesOf(upsertion.name).upsertions.push(upsertion)
    const results = []
    for (const [user, changes] of byUser) {
      try {
        if (!isAllowed) throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED', 'not allowed to change users')
        await users.change(user, (held) => changed(user, held, changes))
        results.push({ user, errorCode: ErrorCode.NONE, errorMessage: null })
      } catch (error) {
        results.push({ user, ...errorFields(error) })
      }
    }
    return { results }
  },
)

/** What the user has afterwards. Throws KafkaError before anything is changed. */
function changed(user: string, held: Credentials, { deletions, upsertions }: Changes): Credentials {
  if (!isUserName(user)) throw new KafkaError('UNACCEPTABLE_CREDENTIAL', `a user's name has ${USER_NAME_RULE}`)
  const mechanisms = [...deletions, ...upsertions].map(({ mechanism }) => mechanismOf(mechanism))
  if (new Set(mechanisms).size < mechanisms.length)
    throw new KafkaError('DUPLICATE_RESOURCE', 'one mechanism of a user is changed twice')
  const after: Credentials = { ...held }
  for (const { mechanism: code } of deletions) {
    const mechanism = mechanismOf(code)
    if (!after[mechanism]) throw new KafkaError('RESOURCE_NOT_FOUND', `${user} has nothing for ${mechanism}`)
    delete after[mechanism]
  }
  for (const upsertion of upsertions) after[mechanismOf(upsertion.mechanism)] = credentialIn(upsertion)
  return after
}

function credentialIn({ mechanism: code, iterations, salt, saltedPassword }: Upsertion) {
  const mechanism = mechanismOf(code)
  if (iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX)
    throw new KafkaError(
      'UNACCEPTABLE_CREDENTIAL',
      `${iterations} iterations: use ${ITERATIONS_MIN} to ${ITERATIONS_MAX}`,
    )
  if (salt.length === 0 || salt.length > 1024)
    throw new KafkaError('UNACCEPTABLE_CREDENTIAL', 'a salt has 1 to 1024 bytes')
  if (saltedPassword.length !== hashBytesOf(mechanism))
    throw new KafkaError(
      'UNACCEPTABLE_CREDENTIAL',
      `a salted password of ${mechanism} has ${hashBytesOf(mechanism)} bytes`,
    )
  return credentialFrom(mechanism, saltedPassword, { salt: Buffer.from(salt), iterations })
}

function mechanismOf(code: number): ScramMechanism {
  const mechanism = SCRAM_MECHANISMS[code - 1]
  if (!mechanism) throw new KafkaError('UNSUPPORTED_SASL_MECHANISM', `there is no SCRAM mechanism ${code}`)
  return mechanism
}
