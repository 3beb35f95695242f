/** Reads flags of the form NAME=VALUE. */

import { type Invocation, listFlag, UsageError } from './command.ts'

/** @throws UsageError unless every pair is NAME=VALUE. The value may hold further equals signs. */
export function configPairs(invocation: Invocation, flag = 'config'): Record<string, string> {
  const pairs = listFlag(invocation, flag).map((pair) => {
    const at = pair.indexOf('=')
    if (at <= 0) throw new UsageError(`--${flag}: '${pair}' is not allowed; use NAME=VALUE`)
    return [pair.slice(0, at), pair.slice(at + 1)] as const
  })
  return Object.fromEntries(pairs)
}
