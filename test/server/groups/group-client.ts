/** A classic member spelled out over WebSocket, request by request. */
import { joinGroup, syncGroup } from '../../../protocol/messages/groups.ts'
import type { RelayClient } from '../../support/relay-client.ts'
import { subscription } from './coordinator-fixture.ts'
import { bytes } from './group-driver.ts'

export interface JoinFields {
  groupId?: string
  memberId?: string
  groupInstanceId?: string | null
  sessionTimeoutMs?: number
  topics?: readonly string[]
}

export function join(client: RelayClient, fields: JoinFields = {}, version = joinGroup.maxVersion) {
  const { groupId = 'g', memberId = '', groupInstanceId = null, sessionTimeoutMs = 6000, topics = ['t'] } = fields
  return client.call(
    joinGroup,
    {
      ...{ groupId, memberId, groupInstanceId, sessionTimeoutMs },
      rebalanceTimeoutMs: 6000,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: subscription(...topics) }],
    },
    version,
  )
}

/** Joins with the id that it is given. */
export async function joinFully(client: RelayClient, fields: JoinFields = {}) {
  const { memberId } = await join(client, fields)
  return join(client, { ...fields, memberId })
}

export function sync(
  client: RelayClient,
  { memberId, generationId, groupId = 'g' }: { memberId: string; generationId: number; groupId?: string },
  parts: Readonly<Record<string, string>> = {},
) {
  return client.call(syncGroup, {
    ...{ groupId, memberId, generationId },
    protocolType: 'consumer',
    protocolName: 'range',
    assignments: Object.entries(parts).map(([to, part]) => ({ memberId: to, assignment: bytes(part) })),
  })
}

/** The only member of a stable group. */
export async function memberOf(client: RelayClient, fields: JoinFields = {}) {
  const joined = await joinFully(client, fields)
  const { memberId, generationId } = joined
  await sync(client, { memberId, generationId, groupId: fields.groupId }, { [memberId]: 'all' })
  return { memberId, generationId }
}
