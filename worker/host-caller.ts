/**
 * Calls to whichever host there is, at as many hosts as it takes.
 *
 * Invariants: a call waits for a host no longer than `waitMsMax`; one whose host died is repeated at the next, or, if
 * repeating it could do something twice, rejects OUTCOME_UNKNOWN.
 */
import { OttlaError } from '../client/errors.ts'
import type { Attacher } from './attacher.ts'
import { type Attachment, HostLost } from './attachment.ts'
import type { HostArgs, HostMethod, HostResult } from './contract.ts'

export class HostCaller {
  readonly #attacher: Attacher
  readonly #waitMsMax: number

  constructor(attacher: Attacher, waitMsMax: number) {
    this.#attacher = attacher
    this.#waitMsMax = waitMsMax
  }

  /** For calls that change nothing when they are repeated. */
  async repeatedly<M extends HostMethod>(method: M, ...args: HostArgs<M>): Promise<HostResult<M>> {
    for (;;) {
      try {
        return await this.#ask(method, ...args)
      } catch (error) {
        if (!(error instanceof HostLost)) throw error
      }
    }
  }

  async once<M extends HostMethod>(method: M, ...args: HostArgs<M>): Promise<HostResult<M>> {
    try {
      return await this.#ask(method, ...args)
    } catch (error) {
      if (!(error instanceof HostLost)) throw error
      throw new OttlaError('OUTCOME_UNKNOWN', {
        retriable: false,
        message: `the worker ended while '${method}' was under way`,
        hint: 'look at the relay whether it was carried out, then repeat it if not',
        cause: error,
      })
    }
  }

  #ask<M extends HostMethod>(method: M, ...args: HostArgs<M>): Promise<HostResult<M>> {
    return this.#attacher.attached(this.#waitMsMax, (attachment) => answerOf(attachment, method, ...args))
  }
}

async function answerOf<M extends HostMethod>(
  attachment: Attachment,
  method: M,
  ...args: HostArgs<M>
): Promise<HostResult<M>> {
  const reply = await attachment.call(method, ...args)
  if (reply.ok) return reply.value
  throw OttlaError.fromInfo(reply.error)
}
