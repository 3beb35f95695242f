/** A member of a streams group, spelled out request by request. */
import type { RequestInputOf } from '../../../../protocol/api.ts'
import { streamsGroupHeartbeat } from '../../../../protocol/messages/streams-groups.ts'
import type { RelayClient } from '../../../support/relay-client.ts'

export type Request = RequestInputOf<typeof streamsGroupHeartbeat>
type Said = NonNullable<Request['topology']>

export const own = (name: string, configs: Record<string, string> = {}) => ({
  ...{ name, partitions: 0, replicationFactor: 0 },
  topicConfigs: Object.entries(configs).map(([key, value]) => ({ key, value })),
})

/** Lines to words to counts. */
export const counter = (epoch = 0, source = 'lines'): Said => ({
  epoch,
  subtopologies: [
    {
      ...{ subtopologyId: '0', sourceTopics: [source], sourceTopicRegex: [], stateChangelogTopics: [] },
      ...{ repartitionSinkTopics: ['app-words'], repartitionSourceTopics: [], copartitionGroups: [] },
    },
    {
      ...{ subtopologyId: '1', sourceTopics: [], sourceTopicRegex: [], repartitionSinkTopics: [] },
      stateChangelogTopics: [own('app-counts', { 'cleanup.policy': 'compact' })],
      ...{ repartitionSourceTopics: [own('app-words')], copartitionGroups: [] },
    },
  ],
})

type Tasks = Request['activeTasks']

export class StreamsMember {
  readonly client: RelayClient
  readonly memberId: string
  memberEpoch = 0
  active: NonNullable<Tasks> = []

  constructor(client: RelayClient, memberId: string) {
    this.client = client
    this.memberId = memberId
  }

  async beat(rest: Partial<Request> = {}) {
    const reply = await this.client.call(streamsGroupHeartbeat, {
      ...{ groupId: 'app', memberId: this.memberId, memberEpoch: this.memberEpoch, endpointInformationEpoch: -1 },
      activeTasks: this.active,
      ...rest,
    })
    if (reply.errorCode === 0 && this.memberEpoch >= 0) this.memberEpoch = reply.memberEpoch
    return reply
  }

  join(topology: Said = counter(), rest: Partial<Request> = {}) {
    this.memberEpoch = 0
    this.active = []
    const tasks = { activeTasks: [], standbyTasks: [], warmupTasks: [] }
    return this.beat({ ...tasks, topology, rebalanceTimeoutMs: 10_000, processId: this.memberId, ...rest })
  }

  /** Does what it is told until nothing is news. */
  async follow() {
    for (let round = 0; round < 5; round++) {
      const { activeTasks } = await this.beat()
      if (activeTasks) this.active = activeTasks
    }
    return tasksIn(this.active)
  }
}

export const tasksIn = (tasks: Tasks) =>
  (tasks ?? []).flatMap(({ subtopologyId, partitions }) => partitions.map((each) => `${subtopologyId}_${each}`)).sort()
