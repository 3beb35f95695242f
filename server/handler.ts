/**
 * What an API handler is: a function from a decoded request to a reply, with what it may ask for on the way.
 *
 * `access` says who is asked before the handler acts: 'none' for what everybody may do, 'each' where the handler asks
 * the authorizer for every resource that the request names. An entry without it does not compile.
 */
import type { AnyApi, Api } from '../protocol/api.ts'
import type { Operation, Resource } from './authorizer.ts'
import type { Connection } from './connection.ts'
import type { Services } from './services.ts'

export const NO_REPLY = Symbol('no reply')

export interface RequestContext {
  readonly services: Services
  readonly connection: Connection
  readonly apiVersion: number
  readonly clientId: string | null
  allows(operation: Operation, resource: Resource): boolean
  /** For at least one topic. */
  allowsSome(operation: Operation, type: 'topic'): boolean
  /** Runs when the reply has been handed to the connection. */
  afterReply(run: () => void): void
  /** Runs when the network has taken the reply; never when that fails. */
  onSent(run: () => void): void
  /** Resolves when all earlier requests of the connection have been answered. */
  turn(): Promise<void> | undefined
}

export type Handler<Req, ResIn> = (
  request: Req,
  context: RequestContext,
) => ResIn | typeof NO_REPLY | Promise<ResIn | typeof NO_REPLY>

export interface HandlerEntry {
  readonly api: AnyApi
  readonly access: 'none' | 'each'
  readonly handle: Handler<never, unknown>
  /** Also for somebody who has not signed in. */
  readonly isBeforeSignIn: boolean
  /** The lowest version that is advertised, where that is below the lowest that is answered. */
  readonly advertisedMinVersion: number
}

export function entry<Req, ResIn>(
  api: Api<Req, unknown, never, ResIn>,
  access: HandlerEntry['access'],
  handle: Handler<Req, ResIn>,
  options: { advertisedMinVersion?: number; isBeforeSignIn?: boolean } = {},
): HandlerEntry {
  return {
    api: api as unknown as AnyApi,
    access,
    handle: handle as Handler<never, unknown>,
    isBeforeSignIn: options.isBeforeSignIn ?? false,
    advertisedMinVersion: options.advertisedMinVersion ?? api.minVersion,
  }
}
