/**
 * May this principal do this? Every handler asks before it acts. By default everybody may everything; `access-control`
 * decides by lists (acl/), and an application that embeds the relay may pass its own.
 */
export type Operation =
  | 'read'
  | 'write'
  | 'create'
  | 'delete'
  | 'alter'
  | 'describe'
  | 'describe-configs'
  | 'alter-configs'
  | 'cluster-action'
  | 'idempotent-write'

export type Resource =
  | { type: 'topic'; name: string }
  | { type: 'group'; name: string }
  | { type: 'transactional-id'; name: string }
  | { type: 'cluster' }

export interface Principal {
  readonly name: string
  readonly clientId: string | null
  /** The address that the connection comes from. */
  readonly host: string
}

/** What a socket for both kinds of addresses puts in front of the older one. */
const IPV4_IN_IPV6 = /^::ffff:(?=\d+\.)/i
export const hostOf = (remoteAddress: string): string => remoteAddress.replace(IPV4_IN_IPV6, '')

export interface Authorizer {
  allows(principal: Principal, operation: Operation, resource: Resource): boolean
  /** For at least one topic, whichever: who may write somewhere may have a producer id. Left out: yes. */
  allowsSome?(principal: Principal, operation: Operation, type: 'topic'): boolean
}

export const allowAll: Authorizer = { allows: () => true }
