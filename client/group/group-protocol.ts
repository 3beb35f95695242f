/** Which protocol a member speaks, and what can be said in one of them only. */
import { OttlaError } from '../errors.ts'
import type { GroupOptions } from './options.ts'

/**
 * 'either': the consumer protocol where the relay has it and the group is not held in the classic one. A member that
 * freezes, as hidden pages do, holds up nobody but its own partitions there, and nobody needs to lead.
 */
export type ProtocolChoice = 'classic' | 'consumer' | 'either'

/** Throws INVALID_ARGUMENT for options that contradict each other. */
export function protocolOf(group: GroupOptions, pattern: string | null): ProtocolChoice {
  const { groupProtocol, assignors, sessionTimeoutMs, serverAssignor } = group
  const isClassic = assignors !== undefined || sessionTimeoutMs !== undefined
  const isConsumer = serverAssignor !== undefined || pattern !== null
  if (groupProtocol === 'consumer' && assignors !== undefined) throw contradiction('assignors', 'classic')
  if (groupProtocol !== 'classic' && !(isClassic && groupProtocol === undefined))
    return groupProtocol === 'consumer' || isConsumer ? 'consumer' : 'either'
  if (serverAssignor !== undefined) throw contradiction('serverAssignor', 'consumer')
  if (pattern !== null) throw contradiction('a pattern of topics', 'consumer')
  return 'classic'
}

function contradiction(what: string, protocol: string): OttlaError {
  return new OttlaError('INVALID_ARGUMENT', {
    message: `${what} belongs to the ${protocol} protocol of groups, and other options ask for the other one`,
    hint: `use groupProtocol '${protocol}', or leave it out`,
  })
}
