/**
 * What every client library's consumers must do as members of a group, whatever the library: the relay is looked at, and
 * written to, over WebSocket meanwhile.
 */
import { expect } from 'vitest'
import { Reader } from '../../protocol/bytes/reader.ts'
import { consumerGroupDescribe } from '../../protocol/messages/consumer-groups.ts'
import { describeGroups } from '../../protocol/messages/group-admin.ts'
import { offsetFetch } from '../../protocol/messages/group-offsets.ts'
import { encodeBatch, type RecordInput } from '../../protocol/records.ts'
import type { Relay } from '../../server/relay.ts'
import { eventually } from '../support/eventually.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import type { GroupProtocol } from './support/driver.ts'

export const PARTITIONS = 4
export const SESSION_MS = 6000
export const HEARTBEAT_MS = 200

/** A record as a library shows it, bytes as hex. */
export interface SeenRecord {
  partition: number
  offset: number
  timestamp: number
  key: string | null
  value: string | null
  headers: Record<string, string>
}

export interface LibraryMember {
  readonly seen: readonly SeenRecord[]
  /** Its library goes on fetching while it asks where to begin anew, and may show again what came meanwhile. */
  readonly mayRepeat?: boolean
  /** Commits and leaves. */
  close(): Promise<void>
}

export const hex = (bytes: Uint8Array | null | undefined): string | null =>
  bytes ? Buffer.from(bytes).toString('hex') : null

export const relayForGroups = (): Promise<Relay> =>
  startRelay({
    config: { kafkaPort: 0, groupInitialRebalanceDelayMs: 300, groupConsumerHeartbeatIntervalMs: HEARTBEAT_MS },
  })

/** One record in each partition, the same in all but its key; as a library should see them. */
export async function writeRound(client: RelayClient, topicId: string, round: number): Promise<SeenRecord[]> {
  const expected: SeenRecord[] = []
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const timestamp = 1_700_000_000_000 + round
    const record: RecordInput = {
      key: Uint8Array.of(0x6b, 0x30 + partition),
      // A tombstone, text, and bytes that are no text.
      value: [null, Uint8Array.of(0x76), Uint8Array.of(0xff, 0x00, 0xc3)][round % 3]!,
      headers: [{ key: 'round', value: Uint8Array.of(0x30 + round) }],
      timestamp,
    }
    const { baseOffset } = await client.produce(topicId, encodeBatch([record]), partition)
    expected.push({
      ...{ partition, timestamp, offset: baseOffset },
      ...{ key: hex(record.key), value: hex(record.value), headers: { round: hex(record.headers![0]!.value)! } },
    })
  }
  return expected
}

/** Partitions of each member, once the group is stable with so many. */
export async function assignedParts(
  client: RelayClient,
  group: string,
  members: number,
  protocol: GroupProtocol = 'classic',
): Promise<number[][]> {
  const partsOf = protocol === 'classic' ? classicParts : consumerParts
  return eventually(
    async () => {
      const parts = await partsOf(client, group)
      return parts?.length === members ? parts : undefined
    },
    { withinMs: 20_000, what: `${group} is stable with ${members} members` },
  )
}

async function classicParts(client: RelayClient, group: string): Promise<number[][] | undefined> {
  const [described] = (await client.call(describeGroups, { groups: [group] })).groups
  if (described!.groupState !== 'Stable') return undefined
  return described!.members.map(({ memberAssignment }) => partitionsIn(memberAssignment))
}

async function consumerParts(client: RelayClient, group: string): Promise<number[][] | undefined> {
  const [described] = (await client.call(consumerGroupDescribe, { groupIds: [group] })).groups
  if (described!.groupState !== 'Stable') return undefined
  return described!.members.map(({ assignment }) => assignment.topicPartitions.flatMap((each) => each.partitions))
}

/** An assignment of the consumer protocol that names one topic. */
function partitionsIn(assignment: Uint8Array): number[] {
  const reader = new Reader(assignment)
  reader.int16()
  if (reader.int32() === 0) return []
  reader.utf8(reader.int16())
  return Array.from({ length: reader.int32() }, () => reader.int32())
}

export async function committedOffsets(client: RelayClient, group: string): Promise<Record<number, number>> {
  const { groups } = await client.call(offsetFetch, { groups: [{ groupId: group, topics: null }] })
  const partitions = groups[0]!.topics.flatMap((topic) => topic.partitions)
  return Object.fromEntries(partitions.map(({ partitionIndex, committedOffset }) => [partitionIndex, committedOffset]))
}

const inOrder = (records: readonly SeenRecord[]) =>
  [...records].sort((a, b) => a.partition - b.partition || a.offset - b.offset)

/**
 * Where the relay assigns, a member goes on reading while it is given more, and may begin anew from its last commit: then it
 * sees what came after that twice.
 */
function eachOnce(records: readonly SeenRecord[]): SeenRecord[] {
  return [...new Map(records.map((record) => [`${record.partition}/${record.offset}`, record])).values()]
}

/** Two share, one leaves, the other takes over; every record is seen once, byte for byte, and is committed. */
export async function sharesAndTakesOver(
  relay: Relay,
  start: (group: string, topic: string) => Promise<LibraryMember>,
  protocol: GroupProtocol = 'classic',
  protocolAtLast: GroupProtocol = protocol,
): Promise<void> {
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('shared', { partitions: PARTITIONS })
  const expected = await writeRound(client, topicId, 0)
  const members = await Promise.all([start('g', 'shared'), start('g', 'shared')])
  const parts = await assignedParts(client, 'g', 2, protocol)
  expect(parts.map((part) => part.length)).toEqual([2, 2])
  expect(new Set(parts.flat()).size).toBe(PARTITIONS)

  expected.push(...(await writeRound(client, topicId, 1)))
  const seenByAll = () => {
    const seen = members.flatMap((member) => member.seen)
    return protocol === 'classic' && !members.some(({ mayRepeat }) => mayRepeat) ? seen : eachOnce(seen)
  }
  await eventually(() => seenByAll().length >= expected.length, { withinMs: 20_000, what: 'all records of two rounds' })
  for (const { seen } of members) expect(seen.some(({ offset }) => offset === 1)).toBe(true)

  await members[0]!.close()
  expect((await assignedParts(client, 'g', 1, protocolAtLast))[0]).toHaveLength(PARTITIONS)
  expected.push(...(await writeRound(client, topicId, 2)))
  await eventually(() => seenByAll().length >= expected.length, { withinMs: 20_000, what: 'the third round' })
  expect(inOrder(seenByAll())).toEqual(inOrder(expected))
  await members[1]!.close()
  const ends = Object.fromEntries(Array.from({ length: PARTITIONS }, (_, partition) => [partition, 3]))
  await eventually(async () => JSON.stringify(await committedOffsets(client, 'g')) === JSON.stringify(ends), {
    what: 'everything read is committed',
  })
}
