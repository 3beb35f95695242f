/** Hello, Subscribe, Grant, Unsubscribe, Ping: the offset protocol (docs/PROTOCOL.md). */
import { ErrorCode } from '../../protocol/errors.ts'
import {
  CloseCode,
  grant,
  hello,
  IsolationLevel,
  ping,
  subscribe,
  unsubscribe,
} from '../../protocol/messages/offset-protocol.ts'
import { CREDIT_BYTES_MAX } from '../fan-out/hub.ts'
import { keyFilterOf } from '../fan-out/key-filter.ts'
import { entry, NO_REPLY } from '../handler.ts'

const HEARTBEAT_MS_MIN = 1_000

export const helloHandler = entry(hello, 'none', (request, context) => {
  const { connection, services } = context
  const { config, clock, engine } = services
  if (!services.replicas.claim(connection, request.replicaId, request.generation)) {
    connection.close(CloseCode.replaced, 'a newer connection of the same replica is open')
    return NO_REPLY
  }
  connection.heartbeatMs = chooseHeartbeat(request.heartbeatMs, config.heartbeatMs)
  return {
    errorCode: ErrorCode.NONE,
    clusterId: engine.clusterId,
    heartbeatMs: connection.heartbeatMs,
    serverTimeMs: clock.now(),
    requestBytesMax: config.maxRequestBytes,
    creditBytesMax: CREDIT_BYTES_MAX,
    producerIdExpirationMs: config.topicDefaults.producerIdExpirationMs,
  }
})

/** The client may ask for a quicker heartbeat than the relay's, within reason, never for a slower one. */
function chooseHeartbeat(askedMs: number, relayMs: number): number {
  return askedMs > 0 ? Math.min(relayMs, Math.max(askedMs, Math.min(HEARTBEAT_MS_MIN, relayMs))) : relayMs
}

export const subscribeHandler = entry(subscribe, 'each', (request, context) => {
  const { engine, hub } = context.services
  const begins: Array<() => void> = []
  // A level that is not known shows nothing that a transaction holds undecided.
  const isCommitted = request.isolationLevel !== IsolationLevel.readUncommitted
  const filter = keyFilterOf(request.keys, request.prefixes)
  const partitions = request.partitions.map((asked) => {
    const { topicId, partition } = asked
    const topic = engine.topicById(topicId)
    if (!topic) return { topicId, partition, errorCode: ErrorCode.UNKNOWN_TOPIC_ID }
    if (!context.allows('read', { type: 'topic', name: topic.name })) {
      return { topicId, partition, errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED }
    }
    if (filter === null) return { topicId, partition, errorCode: ErrorCode.INVALID_REQUEST }
    const { begin, ...outcome } = hub.subscribe(context.connection, topic, { ...asked, isCommitted, filter })
    // What is allowed may have changed while the answer waited for its turn.
    const isStillAllowed = () => context.allows('read', { type: 'topic', name: topic.name })
    const refuse = () => hub.end(context.connection, topicId, partition, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    if (begin) begins.push(() => (isStillAllowed() ? begin() : refuse()))
    return { topicId, partition, ...outcome }
  })
  // Deliveries come behind the answer that says where they begin.
  context.afterReply(() => {
    for (const begin of begins) begin()
  })
  return { partitions }
})

export const grantHandler = entry(grant, 'none', (request, { services, connection }) => {
  for (const { topicId, partition, bytes } of request.grants) services.hub.grant(connection, topicId, partition, bytes)
  return NO_REPLY
})

export const unsubscribeHandler = entry(unsubscribe, 'none', (request, { services, connection }) => {
  for (const { topicId, partition } of request.partitions) services.hub.unsubscribe(connection, topicId, partition)
  return { errorCode: ErrorCode.NONE }
})

export const pingHandler = entry(ping, 'none', ({ clientTimeMs }, { services }) => ({
  clientTimeMs,
  serverTimeMs: services.clock.now(),
}))
