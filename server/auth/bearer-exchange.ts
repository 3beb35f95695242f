/**
 * OAUTHBEARER (RFC 7628, KIP-255): one message that holds a token, `n,,^Aauth=Bearer TOKEN^A^A`. What else stands in it
 * (KIP-342) is not looked at. A refusal is told by the protocol's own error, not by the mechanism's JSON.
 */
import { AuthenticationError, type Exchange, textOf } from './exchange.ts'
import type { TokenCheck } from './token-check.ts'

const NOTHING = new Uint8Array(0)
const SEPARATOR = '\x01'
const HEADER = /^[ny],(?:a=([^,]+))?,$/
const BEARER = /^auth=bearer +([A-Za-z0-9._~+/-]+=*)$/i

export function bearerExchange(tokens: TokenCheck): Exchange {
  return {
    async step(message) {
      const { authorizedAs, token } = read(textOf(message, 'OAUTHBEARER'))
      const identity = await tokens.identityIn(token)
      if (authorizedAs !== undefined && authorizedAs !== identity.name)
        throw new AuthenticationError('nobody acts for somebody else here')
      return { reply: NOTHING, identity }
    },
  }
}

function read(message: string): { authorizedAs: string | undefined; token: string } {
  const [header, ...pairs] = message.split(SEPARATOR)
  const isEnded = pairs.pop() === '' && pairs.pop() === ''
  const start = HEADER.exec(header!)
  const tokens = pairs.flatMap((pair) => BEARER.exec(pair)?.[1] ?? [])
  if (!isEnded || !start || tokens.length !== 1) throw new AuthenticationError('no OAUTHBEARER message with a token')
  return { authorizedAs: start[1], token: tokens[0]! }
}
