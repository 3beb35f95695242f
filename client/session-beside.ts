/** A session as live readers see it when a replica uses the same one: they take their subscriptions elsewhere. */
import type { Session } from './session.ts'

/** For live readers: a partition that the replica follows, or will, is never taken from it on its own connection. */
export function beside(session: Session): Session {
  return {
    get state() {
      return session.state
    },
    get isKafka() {
      return session.isKafka
    },
    get limits() {
      return session.limits
    },
    get clockOffsetMs() {
      return session.clockOffsetMs
    },
    get clockErrorMs() {
      return session.clockErrorMs
    },
    metadata: session.metadata,
    onState: (listener) => session.onState(listener),
    onHeard: (listener) => session.onHeard(listener),
    onProgress: (listener) => session.onProgress(listener),
    onChannelNews: (listener) => session.onChannelNews(listener),
    call: (api, body, options) => session.call(api, body, options),
    subscribe: (request) => session.subscribe(request),
    isSubscribed: () => true,
    retryNow: () => session.retryNow(),
    reauthenticate: () => session.reauthenticate(),
    close: () => session.close(),
  }
}
