/**
 * One member of a classic group: what it told the group about itself, and what the group waits for it to do.
 *
 * Times are the caller's monotonic milliseconds. A ticket stands for a request that is not yet answered; a member has at
 * most one of each kind.
 */

/** A request that waits for its answer; the runtime knows whose. */
export type Ticket = number

export interface MemberProtocol {
  name: string
  metadata: Uint8Array
}

export interface Member {
  memberId: string
  /** Static members (KIP-345) have one; it outlives the member id. */
  groupInstanceId: string | null
  clientId: string
  clientHost: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  /** In the member's order of preference. */
  protocols: readonly MemberProtocol[]
  assignment: Uint8Array
  /** Has not been told of a generation yet, so it may not know its own id. */
  isNew: boolean
  awaitingJoin: Ticket | undefined
  awaitingSync: Ticket | undefined
  /** When silence counts as death; undefined while the member waits for the group. */
  sessionDeadline: number | undefined
}

export const NO_ASSIGNMENT: Uint8Array = new Uint8Array(0)

/** Characters that JSON writes with six bytes are the worst case. */
const BYTES_PER_CHARACTER_MAX = 6

/** Whether a member that joins again says what it said before. */
export function hasSameProtocols(member: Pick<Member, 'protocols'>, protocols: readonly MemberProtocol[]): boolean {
  if (member.protocols.length !== protocols.length) return false
  return member.protocols.every(({ name, metadata }, index) => {
    const other = protocols[index]!
    return name === other.name && isSameBytes(metadata, other.metadata)
  })
}

export function metadataFor(member: Member, protocolName: string | null): Uint8Array {
  return member.protocols.find(({ name }) => name === protocolName)?.metadata ?? NO_ASSIGNMENT
}

/** About how much of a group's record is due to what a member says of itself; never less. */
export function sizeOfMember(member: {
  memberId: string
  groupInstanceId: string | null
  clientId: string
  protocols: readonly MemberProtocol[]
}): number {
  const characters = member.memberId.length + (member.groupInstanceId?.length ?? 0) + member.clientId.length
  let size = 256 + characters * BYTES_PER_CHARACTER_MAX
  for (const { name, metadata } of member.protocols)
    size += 16 + name.length * BYTES_PER_CHARACTER_MAX + metadata.length
  return size
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}
