/**
 * What members of a classic `consumer` group say in their metadata, and are told in their assignment, as far as the relay
 * looks at it. Bytes that say something else are null here.
 */
import { MalformedError } from '../../protocol/bytes/reader.ts'
import {
  decodeAssignment,
  decodeSubscription,
  type MemberSubscription,
} from '../../protocol/messages/consumer-protocol.ts'

/** Some clients name a version and leave out what came with it: then what came before counts. */
export function subscriptionIn(metadata: Uint8Array): MemberSubscription | null {
  return readable(() => decodeSubscription(metadata)) ?? readable(() => decodeSubscription(asOldest(metadata)))
}

function asOldest(metadata: Uint8Array): Uint8Array {
  // Not `slice`: of a Buffer that is a view, and the member's own metadata would be overwritten.
  const copy = Uint8Array.from(metadata)
  copy.fill(0, 0, 2)
  return copy
}

export function subscribedTopics(metadata: Uint8Array): string[] | null {
  return subscriptionIn(metadata)?.topics ?? null
}

export function assignedPartitions(assignment: Uint8Array): Array<{ topic: string; partitions: number[] }> | null {
  return readable(() => decodeAssignment(assignment).assignedPartitions)
}

/** The version in which a member wrote its metadata. */
export function versionOf(metadata: Uint8Array): number {
  return metadata.length < 2 ? 0 : new DataView(metadata.buffer, metadata.byteOffset).getInt16(0)
}

function readable<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}
