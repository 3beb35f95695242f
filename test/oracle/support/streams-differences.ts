/** Where streams groups differ from those of Apache Kafka 4.3. */
import type { Difference } from './differences.ts'

/** The same reason at several places. */
const each = (why: string, places: Readonly<Record<string, string[]>>): Array<[string, Difference]> =>
  Object.entries(places).map(([at, found]) => [at, { places: found, why }])

const ONE_COPY = [
  '[0].topology.subtopologies[1].stateChangelogTopics[0].replicationFactor: 1, Kafka 0',
  '[0].topology.subtopologies[1].repartitionSourceTopics[0].replicationFactor: 1, Kafka 0',
]
const SOON = ['heartbeatIntervalMs: 1000, Kafka 5000']

export const streamsDifferences: ReadonlyArray<[string, Difference]> = [
  ...each('topics have one copy, which is told; Kafka tells what was asked for, where 0 means its default', {
    'the life of a streams member: described': ONE_COPY,
  }),
  ...each(
    'a group without members has nothing to assign, so its assignment is that of its epoch; and topics have one copy',
    {
      'the life of a streams member: described when empty': ['[0].assignmentEpoch: 2, Kafka 1', ...ONE_COPY],
    },
  ),
  ...each('who joins says of which process it is: tasks are divided by processes', {
    'streams heartbeats without sense: no process': [
      'errorCode: 42, Kafka 0',
      'memberId: "", Kafka "memberId#1"',
      'memberEpoch: 0, Kafka 1',
      'heartbeatIntervalMs: 0, Kafka 5000',
      'standbyTasks: null, Kafka []',
      'warmupTasks: null, Kafka []',
      'partitionsByUserEndpoint: null, Kafka []',
      'activeTasks: null, Kafka [{"subtopologyId":"0","partitions":[0]}]',
    ],
  }),
  ...each(
    'UNKNOWN_MEMBER_ID lets members of a group that was lost join again by themselves; clients give up after GROUP_ID_NOT_FOUND',
    {
      'streams heartbeats without sense: leaving an unknown group': ['errorCode: 25, Kafka 69'],
      'streams heartbeats without sense: an unknown group': ['errorCode: 25, Kafka 69'],
    },
  ),
  ...each('a topology that does nothing is none', {
    'topologies: no parts': ['errorCode: 130, Kafka 0'],
    'topologies: no parts, described': ['groupState: "", Kafka "Stable"', 'parts: undefined, Kafka 0'],
  }),
  ...each('STREAMS_INVALID_TOPOLOGY says whose fault it is; Kafka answers UNKNOWN_SERVER_ERROR', {
    'topologies: two parts of one id': ['errorCode: 130, Kafka -1'],
    'topologies: places that there are not': ['errorCode: 130, Kafka -1'],
  }),
  ...each('topics of its own are there when the heartbeat is answered that asked for them', {
    'topologies: a repartition topic with a number': ['status: [], Kafka [3]'],
  }),
  ...each('one topic that is named twice is one topic; Kafka fails with UNKNOWN_SERVER_ERROR', {
    'topologies: a changelog with its own name twice': ['errorCode: 0, Kafka -1'],
    'topologies: a changelog with its own name twice, later': ['tasks: 2, Kafka 0'],
    'topologies: a changelog with its own name twice, described': [
      'groupState: "Stable", Kafka ""',
      'parts: 1, Kafka undefined',
    ],
  }),
  ...each('what can never run is refused; in Kafka the application waits for ever', {
    'topologies: more copies than brokers': ['errorCode: 130, Kafka 0', 'status: [], Kafka [3]'],
    'topologies: more copies than brokers, later': ['status: [], Kafka "stays as it is"'],
    'topologies: more copies than brokers, described': [
      'groupState: "", Kafka "NotReady"',
      'parts: undefined, Kafka 1',
    ],
  }),
  ...each('a newer topology takes over, as KIP-1071 has it; Kafka 4.3 changes none, also of a group without members', {
    'a group runs one topology: another of the same epoch': ['errorCode: 130, Kafka 42'],
    'a group runs one topology: an older one': ['errorCode: 132, Kafka 0', 'status: [], Kafka [0]'],
    'a group runs one topology: a newer one': ['errorCode: 0, Kafka 42'],
    'a group runs one topology: the first is told': ['status: [0], Kafka []'],
    'a group runs one topology: the older one again': ['errorCode: 132, Kafka 0'],
    'a group runs one topology: described': ['answer: 2, Kafka 1'],
    'a group runs one topology: an older one when nobody is there': ['status: [], Kafka [0]'],
    'a group runs one topology: another when nobody is there': ['status: [], Kafka [0]'],
  }),
  ...each(
    'a member that waits for others, or others for it, is asked to be heard sooner, so that tasks change hands sooner',
    {
      'tasks that change hands: the second': SOON,
      'tasks that change hands: the first is told': SOON,
      'tasks that change hands: it still runs both': SOON,
      'tasks that change hands: the second waits': SOON,
    },
  ),
  ...each('who comes with its epoch of before has not heard what the lost answer said', {
    'tasks that change hands: the answer was lost': [
      'standbyTasks: [], Kafka null',
      'warmupTasks: [], Kafka null',
      'activeTasks: [{"subtopologyId":"0","partitions":[0]}], Kafka null',
    ],
  }),
  ...each('static members work as in other groups; Kafka 4.3 refuses them', {
    'static members of streams groups: joined': ['answer: 0, Kafka 42'],
  }),
  ...each('a group may set what the relay may: there are no limits of limits', {
    'settings of streams groups: streams.heartbeat.interval.ms=1': ['responses[0].errorCode: 0, Kafka 40'],
  }),
  ...each('there are no standby tasks, and assigning is done at once', {
    'settings of streams groups: streams.num.standby.replicas=1': ['responses[0].errorCode: 40, Kafka 0'],
    'settings of streams groups: streams.initial.rebalance.delay.ms=100': ['responses[0].errorCode: 40, Kafka 0'],
  }),
]
