/**
 * Where the relay answers otherwise than Apache Kafka 4.3, and why: keys are "scenario: what was observed". The reasons are
 * told in docs/GAPS.md too, under "Differences from Apache Kafka".
 */
import { shareDifferences } from './share-differences.ts'
import { streamsDifferences } from './streams-differences.ts'

export interface Difference {
  /** As `diff` gives them. */
  places: string[]
  why: string
}

export const differences: ReadonlyMap<string, Difference> = new Map([
  ...shareDifferences,
  ...streamsDifferences,
  [
    'the life of a member of the next protocol: described when empty',
    {
      places: ['[0].assignmentEpoch: 2, Kafka 1'],
      why: 'a group without members has nothing to assign, so its assignment is that of its epoch; Kafka 4.4 does the same',
    },
  ],
  ...[
    'partitions that change hands: the newcomer',
    'partitions that change hands: the owner is told',
    'partitions that change hands: still reading',
    'partitions that change hands: the newcomer waits',
    'partitions that change hands: another subscription',
    'a group that changes its protocol while it has members: the first member of the next protocol',
  ].map((at): [string, Difference] => [
    at,
    {
      places: ['heartbeatIntervalMs: 1000, Kafka 5000'],
      why: 'a member that waits for others, or others for it, is asked to be heard sooner, so that partitions change hands sooner',
    },
  ]),
  [
    'partitions that change hands: the answer was lost',
    {
      places: ['assignment: {"topicPartitions":[{"topicId":"topicId#0","partitions":[0]}]}, Kafka null'],
      why: 'who comes with its epoch of before has not heard what the lost answer said',
    },
  ],
  ...['leaving an unknown group', 'an unknown group'].map((what): [string, Difference] => [
    `heartbeats without sense: ${what}`,
    {
      places: ['errorCode: 25, Kafka 69'],
      why: 'UNKNOWN_MEMBER_ID lets members of a group that was lost join again by themselves; clients give up after GROUP_ID_NOT_FOUND',
    },
  ]),
  [
    'requests without sense: deleting an unknown group',
    { places: ['results[0].errorCode: 24, Kafka 69'], why: 'a group without a name is no group, wherever it is named' },
  ],
  ...['what cannot be stored: two hours ahead', 'a compacted topic needs keys: without a key'].map(
    (at): [string, Difference] => [
      at,
      {
        places: ['responses[0].partitionResponses[0].recordErrors: [], Kafka [{"batchIndex":0}]'],
        why: 'a batch is stored or refused as a whole, and the relay does not look into its records to name one',
      },
    ],
  ),
  [
    'sequences: the same again',
    {
      places: ['responses[0].partitionResponses[0].logAppendTimeMs: -1, Kafka "time"'],
      why: 'the topic has CreateTime, so there is no append time to tell, the first time or the second',
    },
  ],
  [
    'sequences: an old epoch',
    {
      places: ['responses[0].partitionResponses[0].errorCode: 87, Kafka 47'],
      why: 'epoch -1 is none at all, so the batch is malformed rather than fenced',
    },
  ],
  [
    'sequences: older than the last five',
    {
      places: ['responses[0].partitionResponses[0].errorCode: 46, Kafka 45'],
      why: 'DUPLICATE_SEQUENCE_NUMBER says that the records are in the log; after 45 clients take a new epoch and write them again',
    },
  ],
  [
    'what is made: validated only',
    {
      places: ['[0].topicId: "AAAAAAAAAAAAAAAAAAAAAA", Kafka "topicId#3"'],
      why: 'what was not made has no id; Kafka makes one up',
    },
  ],
  [
    'of a topic: described',
    {
      places: ['[0].configs[10].value: "134217728", Kafka "1073741824"'],
      why: 'segments of 128 MiB: retention frees room sooner, and a start looks at less',
    },
  ],
])
