/** PLAIN (RFC 4616): `authzid NUL user NUL password`, in clear. For TLS, or a network that is trusted. */
import { AuthenticationError, type Exchange, textOf, WRONG_CREDENTIALS } from './exchange.ts'
import { isPassword } from './scram-credential.ts'
import type { Users } from './users.ts'

const NOTHING = new Uint8Array(0)

export function plainExchange(users: Users): Exchange {
  return {
    async step(token) {
      const parts = textOf(token, 'PLAIN').split('\0')
      const [authorizedAs, user, password] = parts
      if (parts.length !== 3 || !user || !password) throw new AuthenticationError('no PLAIN token: user and password')
      // Somebody who is not there costs as much as a wrong password.
      const { mechanism, credential, isReal } = users.forPassword(user)
      const isRight = await users.inTurn(() => isPassword(mechanism, password, credential))
      if (!isRight || !isReal) throw new AuthenticationError(WRONG_CREDENTIALS)
      if (authorizedAs !== '' && authorizedAs !== user)
        throw new AuthenticationError('nobody acts for somebody else here')
      return { reply: NOTHING, identity: users.identityOf(user) }
    },
  }
}
