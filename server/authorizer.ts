/**
 * May this principal do this? Every handler asks before it acts. Sessions are anonymous until authentication is built
 * (docs/GAPS.md); an application that embeds the relay can already refuse by passing its own authorizer.
 */
export type Operation = 'read' | 'write' | 'create' | 'delete' | 'alter' | 'describe'

export type Resource =
  | { type: 'topic'; name: string }
  | { type: 'group'; name: string }
  | { type: 'transactional-id'; name: string }
  | { type: 'cluster' }

export interface Principal {
  readonly name: string
  readonly clientId: string | null
}

export interface Authorizer {
  allows(principal: Principal, operation: Operation, resource: Resource): boolean
}

export const allowAll: Authorizer = { allows: () => true }
