/** A member of a streams group at either peer, request by request: it counts its epoch and runs its tasks as clients do. */
import type { RequestInputOf } from '../../../protocol/api.ts'
import { streamsGroupHeartbeat } from '../../../protocol/messages/streams-groups.ts'
import type { KafkaWire } from '../../support/kafka-wire.ts'
import type { Peer } from './compare.ts'

export type StreamsBeat = RequestInputOf<typeof streamsGroupHeartbeat>
export type SaidTopology = NonNullable<StreamsBeat['topology']>
type Subtopology = SaidTopology['subtopologies'][number]

const NOTHING_READ = {
  ...{ sourceTopics: [], sourceTopicRegex: [], stateChangelogTopics: [] },
  ...{ repartitionSinkTopics: [], repartitionSourceTopics: [], copartitionGroups: [] },
}

export const part = (subtopologyId: string, rest: Partial<Subtopology> = {}): Subtopology => ({
  ...NOTHING_READ,
  subtopologyId,
  ...rest,
})

/** A topic of the application's own. */
export const own = (name: string, rest: { partitions?: number; replicationFactor?: number } = {}) => ({
  ...{ name, partitions: 0, replicationFactor: 0, topicConfigs: [] },
  ...rest,
})

export class StreamsAsker {
  readonly wire: KafkaWire
  readonly groupId: string
  readonly memberId: string
  memberEpoch = 0
  endpointEpoch = -1
  active: NonNullable<StreamsBeat['activeTasks']> = []

  constructor({ wire }: Pick<Peer, 'wire'>, groupId: string, memberId: string) {
    this.wire = wire
    this.groupId = groupId
    this.memberId = memberId
  }

  async beat(fields: Partial<StreamsBeat> = {}) {
    const reply = await this.wire.call(streamsGroupHeartbeat, {
      ...{ groupId: this.groupId, memberId: this.memberId, memberEpoch: this.memberEpoch },
      ...{ endpointInformationEpoch: this.endpointEpoch, activeTasks: null, standbyTasks: null, warmupTasks: null },
      ...fields,
    })
    if (reply.errorCode === 0 && reply.memberEpoch > 0) {
      this.memberEpoch = reply.memberEpoch
      this.endpointEpoch = reply.endpointInformationEpoch
      if (reply.activeTasks) this.active = reply.activeTasks
    }
    return tidy(reply)
  }

  /** Tells which tasks it runs: those that it was last told. */
  runs(fields: Partial<StreamsBeat> = {}) {
    return this.beat({ activeTasks: this.active, standbyTasks: [], warmupTasks: [], ...fields })
  }

  join(topology: SaidTopology, fields: Partial<StreamsBeat> = {}) {
    this.active = []
    this.endpointEpoch = -1
    return this.runs({
      ...{ memberEpoch: 0, activeTasks: [], topology, rebalanceTimeoutMs: 30_000, processId: this.memberId },
      ...fields,
    })
  }

  leave(fields: Partial<StreamsBeat> = {}) {
    return this.beat({ memberEpoch: -1, ...fields })
  }
}

/** Tasks come in no order. What a status says is text, but its kind is not. Either counts what it tells of endpoints in its own way. */
function tidy<
  Reply extends {
    activeTasks: ReadonlyArray<{ subtopologyId: string; partitions: readonly number[] }> | null
    status: ReadonlyArray<{ statusCode: number }> | null
    endpointInformationEpoch: number
  },
>({ activeTasks, status, endpointInformationEpoch: _, ...reply }: Reply) {
  const sorted = activeTasks && [...activeTasks].sort((a, b) => (a.subtopologyId < b.subtopologyId ? -1 : 1))
  return {
    ...reply,
    status: status?.map(({ statusCode }) => statusCode).sort() ?? null,
    activeTasks: sorted?.map((each) => ({ ...each, partitions: [...each.partitions].sort() })) ?? null,
  }
}
