/**
 * The offset protocol: live, replayable delivery by offset, in APIs beside Kafka's own (docs/PROTOCOL.md).
 *
 * A relay advertises these only to clients whose software name begins with "ottla", because some Kafka clients choke on
 * keys they do not know.
 */
import { api, compiledOnDemand, type MessageCodec } from '../api.ts'
import type { Reader } from '../bytes/reader.ts'
import { Writer } from '../bytes/writer.ts'
import {
  array,
  bytes,
  type Field,
  type Infer,
  int8,
  int16,
  int32,
  int64,
  records,
  string,
  struct,
  tagged,
  uuid,
  withDefault,
} from '../schema.ts'

/** A subscription that begins with the next record to come. */
export const FROM_END = -1
/** A subscription that begins with the first record there still is. */
export const FROM_START = -2

export const IsolationLevel = { readUncommitted: 0, readCommitted: 1 } as const

/**
 * Says which replica this is, and by how new a connection. A connection of the same replica with a higher generation
 * replaces this one, which is then closed with 4409.
 */
export const hello = api({
  key: 20000,
  name: 'Hello',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    replicaId: uuid(),
    generation: int64(),
    /** How long either side may be silent before it shows that it lives; the relay answers with what it chose. */
    heartbeatMs: int32(),
  }),
  response: struct({
    errorCode: int16(),
    clusterId: string(),
    heartbeatMs: int32(),
    serverTimeMs: int64(),
    requestBytesMax: int32(),
    creditBytesMax: int32(),
    producerIdExpirationMs: int64(),
  }),
})

/**
 * Asks for deliveries from a position on. A second subscription to the same partition replaces the first. From version 1
 * for some keys only, which is then answered with `DeliverMatching`.
 */
export const subscribe = api({
  key: 20001,
  name: 'Subscribe',
  versions: [0, 1],
  flexibleFrom: 0,
  request: struct({
    isolationLevel: withDefault(0, int8()),
    partitions: array(
      struct({
        topicId: uuid(),
        partition: int32(),
        /** The offset of the first record wanted, FROM_END or FROM_START. */
        offset: int64(),
        /** Leader epoch of the last record held, -1 when none is held. */
        leaderEpoch: withDefault(-1, int32()),
        /** Bytes of record batches that may be sent before the first Grant. */
        credit: int32(),
      }),
    ),
    /** Only records with one of these keys, or whose key begins with one of these bytes. None of either: all records. */
    keys: tagged(0, 1, array(bytes()), []),
    prefixes: tagged(1, 1, array(bytes()), []),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    partitions: array(
      struct({
        topicId: uuid(),
        partition: int32(),
        errorCode: int16(),
        logStart: withDefault(-1, int64()),
        highWatermark: withDefault(-1, int64()),
        lastStableOffset: withDefault(-1, int64()),
        leaderEpoch: withDefault(-1, int32()),
        /** Where deliveries begin; -1 on an error. */
        startOffset: withDefault(-1, int64()),
        /** With FENCED_LEADER_EPOCH: the replica holds records that the log lost; it must drop all from here on. */
        truncateTo: withDefault(-1, int64()),
      }),
    ),
  }),
})

const grantRequest = struct({
  grants: array(struct({ topicId: uuid(), partition: int32(), bytes: int32() })),
})

/** Adds to a subscription's credit, once what came has been stored. One-way: there is no response. */
export const grant = api({
  key: 20002,
  name: 'Grant',
  versions: [0, 0],
  flexibleFrom: 0,
  request: grantRequest,
  response: struct({}),
})

/** Ends subscriptions. Nothing more is delivered for them after the response. */
export const unsubscribe = api({
  key: 20003,
  name: 'Unsubscribe',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({ partitions: array(struct({ topicId: uuid(), partition: int32() })) }),
  response: struct({ errorCode: int16() }),
})

/** Is the other side there, and what time is it there? */
export const ping = api({
  key: 20004,
  name: 'Ping',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({ clientTimeMs: int64() }),
  response: struct({ clientTimeMs: int64(), serverTimeMs: int64() }),
})

// --- what the relay sends unasked ---------------------------------------------------------------------------------

/** Stands where a response has its correlation id. No request may use it. */
export const PUSH_CORRELATION_ID = -1

export interface Push<Out, In = Out> {
  readonly key: number
  readonly name: string
  readonly version: number
  readonly body: MessageCodec<Out, In>
}

export function push<Out, In>(key: number, name: string, body: Field<Out, In>): Push<Out, In> {
  return { key, name, version: 0, body: compiledOnDemand(body, Number.POSITIVE_INFINITY) }
}

const deliverBody = struct({
  topicId: uuid(),
  partition: int32(),
  leaderEpoch: int32(),
  logStart: int64(),
  highWatermark: int64(),
  lastStableOffset: int64(),
  /**
   * The position after this frame. Equal to `highWatermark`: everything that exists has been delivered. Who subscribed to
   * committed records has everything at `lastStableOffset`.
   */
  nextOffset: int64(),
  /** Aborted transactions with batches in `records`: those of the producer from the first offset to the last. */
  aborted: withDefault([], array(struct({ producerId: int64(), firstOffset: int64(), lastOffset: int64() }))),
  /** Whole batches; the first may begin below the position, the reader drops its front. */
  records: records(),
})

/** Record batches. Nothing in it belongs to one connection: every subscriber at the same offset gets the same bytes. */
export const deliver = push(20010, 'Deliver', deliverBody)

const deliverMatchingBody = struct({
  topicId: uuid(),
  partition: int32(),
  leaderEpoch: int32(),
  logStart: int64(),
  highWatermark: int64(),
  lastStableOffset: int64(),
  nextOffset: int64(),
  aborted: withDefault([], array(struct({ producerId: int64(), firstOffset: int64(), lastOffset: int64() }))),
  /** Of the last batch that was looked at, left out or not: the epoch that belongs to `nextOffset`. */
  lastEpoch: int32(),
  /** Offsets from `from` up to, not including, `to` hold nothing that was asked for. */
  skipped: array(struct({ from: int64(), to: int64() })),
  /** Whole batches with at least one record that was asked for. */
  records: records(),
})

/**
 * What a subscription to some keys gets. Batches and left out ranges together cover every offset from the position before
 * to `nextOffset`: what is in neither was lost on the way.
 */
export const deliverMatching = push(20016, 'DeliverMatching', deliverMatchingBody)

const heartbeatBody = struct({ serverTimeMs: int64() })
/** Sent when nothing else was for a heartbeat interval. */
export const heartbeat = push(20011, 'Heartbeat', heartbeatBody)

const subscriptionEndedBody = struct({
  topicId: uuid(),
  partition: int32(),
  errorCode: int16(),
  logStart: withDefault(-1, int64()),
  truncateTo: withDefault(-1, int64()),
})
/** The relay gave a subscription up: topic deleted, position below the log's start, log truncated, partition offline. */
export const subscriptionEnded = push(20012, 'SubscriptionEnded', subscriptionEndedBody)

const closingBody = struct({ code: int16(), reason: string() })
/** The last thing said on a connection without close codes of its own (TCP): one of `CloseCode`. */
export const closing = push(20013, 'Closing', closingBody)

export type Deliver = Infer<typeof deliverBody>
/** Aborted are the producer's batches that begin between its first offset and its last, which is the marker's. */
export type AbortedTransaction = Deliver['aborted'][number]
export type DeliverMatching = Infer<typeof deliverMatchingBody>
export type SkippedRange = DeliverMatching['skipped'][number]
export type SubscriptionEnded = Infer<typeof subscriptionEndedBody>

/** Everything up to and including the length of `records`; exact while `aborted` is empty. */
export const DELIVER_HEADER_BYTES = 72
export const DELIVER_ABORTED_BYTES = 24

export function encodePush<Out, In>(
  push: Push<Out, In>,
  body: In,
  options: { sizeHint?: number; headroom?: number } = {},
): Uint8Array<ArrayBuffer> {
  const writer = new Writer(options.sizeHint ?? 128, options.headroom ?? 0)
  writer.int32(PUSH_CORRELATION_ID)
  writer.int16(push.key)
  writer.int16(push.version)
  push.body.write(writer, push.version, body)
  return writer.finish()
}

/** Reads what follows the correlation id of a push: which one it is. */
export function readPushStart(reader: Reader): { key: number; version: number } {
  return { key: reader.int16(), version: reader.int16() }
}

/** Close codes of the WebSocket door, and whether a client should come back (docs/PROTOCOL.md). */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  policy: 1008,
  messageTooBig: 1009,
  internalError: 1011,
  serviceRestart: 1012,
  tryAgainLater: 1013,
  malformed: 4400,
  needsAuth: 4401,
  forbidden: 4403,
  heartbeatTimeout: 4408,
  replaced: 4409,
} as const

const FINAL_CODES: ReadonlySet<number> = new Set([1002, 1008, 1009, 4400, 4403, 4409])

/** After these, connecting again with the same software and rights would end the same way. */
export const isFinalClose = (code: number): boolean => FINAL_CODES.has(code)
