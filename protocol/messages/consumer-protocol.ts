/**
 * What the members of a classic `consumer` group tell each other through the relay, which passes it on as bytes: what
 * each wants to read, and what each is to read. Versions 0 to 3 of Kafka's ConsumerProtocol.
 *
 * A version stands in front. Later versions only add fields at the end, so what is newer is read as the newest known, and
 * bytes behind it are left alone.
 */
import { compiledOnDemand, type MessageCodec } from '../api.ts'
import { MalformedError, Reader } from '../bytes/reader.ts'
import { Writer } from '../bytes/writer.ts'
import { array, bytes, type Infer, type InferInput, int32, nullable, since, string, struct } from '../schema.ts'

const VERSION_MAX = 3

const topicPartitions = array(struct({ topic: string(), partitions: array(int32()) }))

const subscription = struct({
  topics: array(string()),
  userData: nullable(bytes()),
  /** What the member holds while it joins; of cooperative assignors only. */
  ownedPartitions: since(1, topicPartitions),
  /** The generation in which it got them, -1 when it does not say. */
  generationId: since(2, int32(), -1),
  rackId: since(3, nullable(string())),
})

const assignment = struct({
  assignedPartitions: topicPartitions,
  userData: nullable(bytes()),
})

export type MemberSubscription = Infer<typeof subscription>
export type MemberAssignment = Infer<typeof assignment>

const subscriptionCodec = compiledOnDemand(subscription, Number.POSITIVE_INFINITY)
const assignmentCodec = compiledOnDemand(assignment, Number.POSITIVE_INFINITY)

export function encodeSubscription(value: InferInput<typeof subscription>, version = VERSION_MAX): Uint8Array {
  return encode(subscriptionCodec, value, version)
}

/** Throws MalformedError. */
export function decodeSubscription(metadata: Uint8Array): MemberSubscription {
  return decode(subscriptionCodec, metadata)
}

export function encodeAssignment(value: InferInput<typeof assignment>, version = VERSION_MAX): Uint8Array {
  return encode(assignmentCodec, value, version)
}

/** No bytes at all are an assignment of nothing. Throws MalformedError. */
export function decodeAssignment(value: Uint8Array): MemberAssignment {
  return value.length === 0 ? { assignedPartitions: [], userData: null } : decode(assignmentCodec, value)
}

function encode<In>(codec: MessageCodec<unknown, In>, value: In, version: number): Uint8Array {
  const writer = new Writer(64)
  writer.int16(version)
  codec.write(writer, version, value)
  return writer.finish()
}

function decode<Out>(codec: MessageCodec<Out, never>, value: Uint8Array): Out {
  const reader = new Reader(value)
  const version = reader.int16()
  if (version < 0) throw new MalformedError(`version ${version} of the consumer protocol`)
  return codec.read(reader, Math.min(version, VERSION_MAX))
}
