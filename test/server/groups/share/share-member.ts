/** A member of a share group, spelled out request by request. */
import type { RequestInputOf } from '../../../../protocol/api.ts'
import { incrementalAlterConfigs } from '../../../../protocol/messages/configs.ts'
import { JOIN_EPOCH, LEAVE_EPOCH } from '../../../../protocol/messages/consumer-groups.ts'
import {
  AcknowledgeType,
  CLOSE_SESSION,
  shareAcknowledge,
  shareFetch,
} from '../../../../protocol/messages/share-fetch.ts'
import { shareGroupHeartbeat } from '../../../../protocol/messages/share-groups.ts'
import { BATCH_HEADER_BYTES, batchesIn } from '../../../../protocol/record-batch.ts'
import { decodeRecords } from '../../../../protocol/records.ts'
import type { RelayClient } from '../../../support/relay-client.ts'

type FetchRequest = RequestInputOf<typeof shareFetch>
type FetchTopic = FetchRequest['topics'][number]

export interface TakenRecord {
  offset: number
  value: string
  deliveryCount: number
}

/** `[first, last, type]`, or a type for each offset. */
export type Said = readonly [first: number, last: number, ...types: number[]]

const GROUP_RESOURCE = 32

export async function configureGroup(client: RelayClient, groupId: string, values: Record<string, string>) {
  const configs = Object.entries(values).map(([name, value]) => ({ name, value, configOperation: 0 }))
  const resources = [{ resourceType: GROUP_RESOURCE, resourceName: groupId, configs }]
  const { responses } = await client.call(incrementalAlterConfigs, { resources, validateOnly: false })
  return responses[0]!
}

export class ShareMember {
  readonly client: RelayClient
  readonly groupId: string
  readonly memberId: string
  memberEpoch = JOIN_EPOCH
  sessionEpoch = 0

  constructor(client: RelayClient, memberId: string, groupId = 'g') {
    this.client = client
    this.memberId = memberId
    this.groupId = groupId
  }

  async beat(subscribedTopicNames: readonly string[] | null = null) {
    const { groupId, memberId, memberEpoch } = this
    const reply = await this.client.call(shareGroupHeartbeat, { groupId, memberId, memberEpoch, subscribedTopicNames })
    if (reply.errorCode === 0) this.memberEpoch = reply.memberEpoch
    return reply
  }

  /** Throws when it is refused. */
  async join(...topics: readonly string[]) {
    const reply = await this.beat(topics)
    if (reply.errorCode !== 0) throw new Error(`join: ${reply.errorCode} ${reply.errorMessage}`)
    return reply.assignment?.topicPartitions ?? []
  }

  leave() {
    this.memberEpoch = LEAVE_EPOCH
    return this.beat()
  }

  /** The next request of the session. */
  async fetchRaw(topics: readonly FetchTopic[], rest: Partial<FetchRequest> = {}) {
    const { groupId, memberId, sessionEpoch: shareSessionEpoch } = this
    const reply = await this.client.call(shareFetch, {
      ...{ groupId, memberId, shareSessionEpoch, topics, forgottenTopicsData: [] },
      ...{ maxWaitMs: 0, minBytes: 1, maxBytes: 1_000_000, maxRecords: 500, batchSize: 500, isRenewAck: false },
      ...rest,
    })
    if (reply.errorCode === 0 && shareSessionEpoch !== CLOSE_SESSION) this.sessionEpoch++
    return reply
  }

  /** What the member may work on now. Throws when the request, or the partition, is refused. */
  async fetch(topicId: string, rest: Partial<FetchRequest> & { partition?: number } = {}): Promise<TakenRecord[]> {
    const { partition: partitionIndex = 0, ...request } = rest
    const topics = [{ topicId, partitions: [{ partitionIndex, acknowledgementBatches: [] }] }]
    const reply = await this.fetchRaw(topics, request)
    if (reply.errorCode !== 0) throw new Error(`fetch: ${reply.errorCode} ${reply.errorMessage}`)
    return recordsIn(reply)
  }

  async acknowledge(topicId: string, said: readonly Said[], { partition = 0, isRenewAck = false } = {}) {
    const { groupId, memberId, sessionEpoch: shareSessionEpoch } = this
    const reply = await this.client.call(shareAcknowledge, {
      ...{ groupId, memberId, shareSessionEpoch, isRenewAck },
      topics: [{ topicId, partitions: [{ partitionIndex: partition, acknowledgementBatches: batchesOf(said) }] }],
    })
    if (reply.errorCode === 0) this.sessionEpoch++
    return reply.errorCode || reply.responses[0]!.partitions[0]!.errorCode
  }

  accept(topicId: string, records: readonly TakenRecord[]) {
    return this.acknowledge(
      topicId,
      records.map(({ offset }) => [offset, offset, AcknowledgeType.accept]),
    )
  }

  closeSession() {
    this.sessionEpoch = CLOSE_SESSION
    return this.fetchRaw([])
  }
}

export const batchesOf = (said: readonly Said[]) =>
  said.map(([firstOffset, lastOffset, ...acknowledgeTypes]) => ({ firstOffset, lastOffset, acknowledgeTypes }))

/** The records of an answer that are the member's. */
export function recordsIn(reply: Awaited<ReturnType<ShareMember['fetchRaw']>>): TakenRecord[] {
  return reply.responses.flatMap(({ partitions }) =>
    partitions.flatMap(({ errorCode, records, acquiredRecords }) => {
      if (errorCode !== 0) throw new Error(`partition: ${errorCode}`)
      const taken: TakenRecord[] = []
      for (const { at, end, header } of batchesIn(records ?? new Uint8Array(0)))
        for (const { offset, value } of decodeRecords(header, records!.subarray(at + BATCH_HEADER_BYTES, end))) {
          const run = acquiredRecords.find(
            ({ firstOffset, lastOffset }) => firstOffset <= offset && offset <= lastOffset,
          )
          if (run) taken.push({ offset, value: new TextDecoder().decode(value!), deliveryCount: run.deliveryCount })
        }
      return taken
    }),
  )
}
