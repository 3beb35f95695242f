/** What members of both protocols do with offsets: fetch where the group is, commit how far they have come. */
import { ErrorCode, errorName } from '../../../protocol/errors.ts'
import { offsetCommit, offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import type { Commit, Committed } from '../../checker/history.ts'
import { offsetAt } from './fetch-position.ts'
import type { KafkaClient } from './kafka-client.ts'
import type { KafkaWire } from './kafka-wire.ts'

const NO_OFFSET = -1
const EARLIEST = -2
/** The first version that knows members of the next protocol. */
const VERSION_WITH_EPOCHS = 9

export interface GroupPartition {
  group: string
  topic: string
  partition: number
}

export interface Claim {
  memberId: string
  /** Or the member's epoch. */
  generation: number
  isNext?: boolean
}

/** A commit that got one of these was surely not taken. */
const REFUSALS: ReadonlySet<number> = new Set([
  ErrorCode.UNKNOWN_MEMBER_ID,
  ErrorCode.ILLEGAL_GENERATION,
  ErrorCode.REBALANCE_IN_PROGRESS,
  ErrorCode.FENCED_INSTANCE_ID,
  ErrorCode.STALE_MEMBER_EPOCH,
])

/** The group wants something else of this member than to go on. */
export class Rejoin extends Error {
  readonly errorCode: number

  constructor(errorCode: number) {
    super(errorName(errorCode))
    this.errorCode = errorCode
  }
}

export function check(errorCode: number): void {
  if (errorCode !== ErrorCode.NONE) throw new Rejoin(errorCode)
}

/** Where the group goes on, or the log's start. */
export async function startOffset(client: KafkaClient, wire: KafkaWire, at: GroupPartition): Promise<number> {
  const committed = await fetchCommitted(client, wire, at)
  const offset = committed === NO_OFFSET ? await offsetAt(client, wire, at.topic, at.partition, EARLIEST) : committed
  if (offset === undefined) throw new Rejoin(ErrorCode.NOT_COORDINATOR)
  return offset
}

async function fetchCommitted(client: KafkaClient, wire: KafkaWire, place: GroupPartition): Promise<number> {
  const { group, topic, partition } = place
  const at = client.recorder.now
  const version = Math.min(7, wire.versionOf(offsetFetch))
  const body = {
    ...{ groupId: group, topics: [{ name: topic, partitionIndexes: [partition] }], groups: [] },
    requireStable: true,
  }
  const { topics, errorCode } = await wire.call(offsetFetch, body, { version })
  check(errorCode)
  const answer = topics[0]!.partitions[0]!
  check(answer.errorCode)
  const offset = answer.committedOffset
  client.recorder.note<Committed>({ op: 'committed', process: client.process.name, ...place, offset }, at)
  return offset
}

/** The answer's error code. */
export async function commitOffset(
  client: KafkaClient,
  wire: KafkaWire,
  place: GroupPartition,
  { memberId, generation, isNext = false }: Claim,
  offset: number,
): Promise<number> {
  const commit = client.recorder.open<Commit>({
    ...{ op: 'commit', process: client.process.name, ...place, offset, outcome: 'unknown' },
  })
  const partitions = [{ partitionIndex: place.partition, committedOffset: offset, committedMetadata: '' }]
  const body = {
    ...{ groupId: place.group, generationIdOrMemberEpoch: generation, memberId },
    topics: [{ name: place.topic, partitions }],
  }
  const version = isNext ? VERSION_WITH_EPOCHS : Math.min(VERSION_WITH_EPOCHS, wire.versionOf(offsetCommit))
  const { topics } = await wire.call(offsetCommit, body, { version })
  const { errorCode } = topics[0]!.partitions[0]!
  const outcome = errorCode === ErrorCode.NONE ? 'ok' : REFUSALS.has(errorCode) ? 'failed' : 'unknown'
  client.recorder.close(commit, { outcome })
  return errorCode
}
