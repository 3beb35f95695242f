/** Where share groups differ from those of Apache Kafka 4.3. */
import type { Difference } from './differences.ts'

/** The same reason at several places. */
const each = (why: string, places: Readonly<Record<string, string[]>>): Array<[string, Difference]> =>
  Object.entries(places).map(([at, found]) => [at, { places: found, why }])

const BEHIND_START = 'responses[0].partitions[0].errorCode: 121, Kafka 0'

export const shareDifferences: ReadonlyArray<[string, Difference]> = [
  ...each(
    'a group without members has nothing to assign, so its assignment is that of its epoch; Kafka 4.4 does the same',
    {
      'the life of a sharing member: described when empty': ['[0].assignmentEpoch: 4, Kafka 3'],
    },
  ),
  ...each(
    'where a group begins is on disk before its first heartbeat is answered, so a member need not come again for its partitions',
    {
      'the first member of a share group: joined': [
        'assignment.topicPartitions: [{"topicId":"topicId#0","partitions":[0]}], Kafka []',
      ],
      'offsets of share groups: all': [
        '[0].topics[0].partitions[0].startOffset: 1, Kafka 0',
        '[0].topics[0].partitions[1].startOffset: 0, Kafka -1',
        '[0].topics[0].partitions[1].lag: 0, Kafka -1',
      ],
    },
  ),
  ...each(
    'UNKNOWN_MEMBER_ID lets members of a group that was lost join again by themselves; clients give up after GROUP_ID_NOT_FOUND',
    {
      'sharing heartbeats without sense: leaving an unknown group': ['errorCode: 25, Kafka 69'],
      'sharing heartbeats without sense: an unknown group': ['errorCode: 25, Kafka 69'],
    },
  ),
  ...each('the partition is refused, not the request; Kafka fails with UNKNOWN_SERVER_ERROR', {
    'share sessions: an unknown topic': [
      'errorCode: 0, Kafka -1',
      'acquisitionLockTimeoutMs: 30000, Kafka 0',
      'responses: [{"topicId":"topicId#1","partitions":[{"partitionIndex":0,"errorCode":100,"acknowledgeErrorCode":0,"acknowledgeErrorMessage":null,"acquiredRecords":[],"bytes":0}]}], Kafka []',
    ],
  }),
  ...each(
    'records are handed out to members of groups that are there; Kafka fails partition by partition with UNKNOWN_SERVER_ERROR',
    {
      'fetches of shares without sense: a nameless group': [
        'errorCode: 24, Kafka 0',
        'acquisitionLockTimeoutMs: 0, Kafka 30000',
        'responses: [], Kafka [{"topicId":"topicId#0","partitions":[{"partitionIndex":0,"errorCode":-1,"acknowledgeErrorCode":0,"acknowledgeErrorMessage":null,"acquiredRecords":[],"bytes":0}]}]',
      ],
      'fetches of shares without sense: an unknown group': [
        'errorCode: 69, Kafka 0',
        'acquisitionLockTimeoutMs: 0, Kafka 30000',
        'responses: [], Kafka [{"topicId":"topicId#0","partitions":[{"partitionIndex":0,"errorCode":-1,"acknowledgeErrorCode":0,"acknowledgeErrorMessage":null,"acquiredRecords":[],"bytes":0}]}]',
      ],
    },
  ),
  ...each('a fetch may always take one batch, as in Fetch', {
    'fetches of shares without sense: no bytes': [
      'responses: [{"topicId":"topicId#0","partitions":[{"partitionIndex":0,"errorCode":0,"acknowledgeErrorCode":0,"acknowledgeErrorMessage":null,"acquiredRecords":[{"firstOffset":0,"lastOffset":2,"deliveryCount":2}],"bytes":85}]}], Kafka []',
    ],
  }),
  ...each('INVALID_REQUEST says whose fault it is; Kafka answers UNKNOWN_SERVER_ERROR', {
    'fetches of shares without sense: an unknown mode': ['errorCode: 42, Kafka -1'],
  }),
  ...each(
    'who does not hold a record is told so, wherever it is; Kafka passes over what is below the start of the group',
    {
      'what becomes of records: accepted again': [BEHIND_START],
      'what becomes of records: a renewal of what is not there': [BEHIND_START],
      'what becomes of records: negative offsets': ['responses[0].partitions[0].errorCode: 42, Kafka 0'],
    },
  ),
  ...each('offsets that are named twice are out of order', {
    'what becomes of records: twice in one': ['responses[0].partitions[0].errorCode: 42, Kafka 121'],
  }),
  ...each('the start that is told is where the group stands; that of Kafka is one acknowledgement behind', {
    'what becomes of records: standing': ['[0].topics[0].partitions[0].startOffset: 2, Kafka 1'],
    'what becomes of records: standing at the end': ['[0].topics[0].partitions[0].startOffset: 10, Kafka 2'],
    'how often records are delivered: standing': ['[0].topics[0].partitions[0].startOffset: 3, Kafka 1'],
    'offsets of share groups: one': ['[0].topics[0].partitions[0].startOffset: 1, Kafka 0'],
    'offsets of share groups: of version 0': ['groups[0].topics[0].partitions[0].startOffset: 1, Kafka 0'],
  }),
  ...each('neighbours that were delivered as often are one run, whichever batches they came in', {
    'how much comes at once: released': [
      'responses[0].partitions[0].acquiredRecords: [{"firstOffset":0,"lastOffset":4,"deliveryCount":2}], Kafka [{"firstOffset":0,"lastOffset":2,"deliveryCount":2},{"firstOffset":3,"lastOffset":4,"deliveryCount":2}]',
    ],
  }),
  ...each('a topic, a group, a name or an offset that is none is an error', {
    'offsets of share groups: an unknown topic': ['[0].topics[0].partitions[0].errorCode: 3, Kafka 0'],
    'offsets of share groups: an unknown group': [
      '[0].topics: [], Kafka [{"topicName":"stand","topicId":"topicId#0","partitions":[{"partitionIndex":0,"startOffset":-1,"leaderEpoch":0,"lag":-1,"errorCode":0}]}]',
      '[0].errorCode: 69, Kafka 0',
    ],
    'offsets of share groups: an unknown group, all': ['[0].errorCode: 69, Kafka 0'],
    'offsets of share groups: a nameless group': ['[0].errorCode: 24, Kafka 0'],
    'offsets of share groups: altered below': ['responses[0].partitions[0].errorCode: 42, Kafka 0'],
  }),
  ...each('nothing asked for is nothing told; Kafka fails', {
    'offsets of share groups: no partitions asked for': [
      '[0].topics: [{"topicName":"stand","topicId":"topicId#0","partitions":[]}], Kafka []',
      '[0].errorCode: 0, Kafka -1',
    ],
  }),
  ...each('a share group begins with its first member: Kafka makes one when offsets are set for it', {
    'offsets of share groups: altered in an unknown group': [
      'errorCode: 69, Kafka 0',
      'responses: [], Kafka [{"topicName":"stand","topicId":"topicId#0","partitions":[{"partitionIndex":0,"errorCode":0}]}]',
    ],
    'offsets of share groups: forgotten in an unknown group': [
      'errorCode: 69, Kafka 0',
      'responses: [], Kafka [{"topicName":"stand","topicId":"topicId#0","errorCode":0}]',
    ],
  }),
  ...each('a group may set what the relay may: there are no limits of limits', {
    'settings of share groups: share.delivery.count.limit=11': ['responses[0].errorCode: 0, Kafka 40'],
    'settings of share groups: share.heartbeat.interval.ms=1': ['responses[0].errorCode: 0, Kafka 40'],
  }),
  ...each('assigning is done at once, in the heartbeat', {
    'settings of share groups: share.assignment.interval.ms=10': ['responses[0].errorCode: 40, Kafka 0'],
  }),
]
