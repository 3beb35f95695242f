/**
 * Where the relay answers otherwise than Apache Kafka 4.3, and why: keys are "scenario: what was observed". The reasons are
 * told in docs/GAPS.md too, under "Differences from Apache Kafka".
 */
export interface Difference {
  /** As `diff` gives them. */
  places: string[]
  why: string
}

export const differences: ReadonlyMap<string, Difference> = new Map([
  [
    'the life of a member of the next protocol: described when empty',
    {
      places: ['[0].assignmentEpoch: 2, Kafka 1'],
      why: 'a group without members has nothing to assign, so its assignment is that of its epoch; Kafka 4.4 does the same',
    },
  ],
  ...['the newcomer', 'the owner is told', 'still reading', 'the newcomer waits', 'another subscription'].map(
    (what): [string, Difference] => [
      `partitions that change hands: ${what}`,
      {
        places: ['heartbeatIntervalMs: 1000, Kafka 5000'],
        why: 'a member that waits for others, or others for it, is asked to be heard sooner, so that partitions change hands sooner',
      },
    ],
  ),
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
])
