/** What a topology comes to, given the topics there are. */
import { expect, test } from 'vitest'
import type { KafkaError } from '../../../../protocol/errors.ts'
import { ErrorCode } from '../../../../protocol/errors.ts'
import { StreamsStatus } from '../../../../protocol/messages/streams-groups.ts'
import type { TopicCatalog } from '../../../../server/coordinator/consumer/topics.ts'
import { configure } from '../../../../server/coordinator/streams/configured.ts'
import { checkTopology, type Subtopology, type Topology } from '../../../../server/coordinator/streams/topology.ts'

const catalog = (counts: Readonly<Record<string, number>>): TopicCatalog => {
  const all = Object.entries(counts).map(([name, length]) => ({ name, id: name, partitions: { length } }))
  const find = (name: string) => all.find((topic) => topic.name === name)
  return { topicsVersion: 1, topics: () => all, topicByName: find, topicById: find }
}

const own = (name: string, partitions = 0) => ({ name, partitions, configs: {} })
const part = (id: string, fields: Partial<Subtopology>): Subtopology => ({
  ...{ id, sources: [], changelogs: [], repartitionSinks: [], repartitionSources: [], copartitioned: [] },
  ...fields,
})
const topology = (...subtopologies: Subtopology[]): Topology => ({ epoch: 0, subtopologies })

const counter = topology(
  part('0', { sources: ['lines'], repartitionSinks: ['words'] }),
  part('1', { repartitionSources: [own('words')], changelogs: [own('counts')] }),
)

const codeOf = (action: () => unknown) => {
  try {
    action()
    return ErrorCode.NONE
  } catch (error) {
    return (error as KafkaError).code
  }
}

test('[STG-2] topics of its own have as many partitions as what is written to them comes from', () => {
  const found = configure(counter, catalog({ lines: 3 }))
  expect(found.missing).toEqual([own('words', 3), own('counts', 3)])
  expect(found.problems).toMatchObject([{ statusCode: StreamsStatus.missingInternalTopics }])
  expect(found.tasks.size).toBe(0)
  const ready = configure(counter, catalog({ lines: 3, words: 3, counts: 3 }))
  expect(ready).toMatchObject({ problems: [], missing: [] })
  expect([...ready.tasks]).toEqual([
    ['0', 3],
    ['1', 3],
  ])
})

test('[STG-2] a chain of repartitions, and one of which the number is said', () => {
  const chain = topology(
    part('2', { repartitionSources: [own('b')] }),
    part('1', { repartitionSources: [own('a', 5)], repartitionSinks: ['b'] }),
    part('0', { sources: ['s'], repartitionSinks: ['a'] }),
  )
  expect(configure(chain, catalog({ s: 2 })).missing).toEqual([own('b', 5), own('a', 5)])
})

test('[STG-2] what is read together is even, or nothing runs', () => {
  const joining = (fixed: number) =>
    topology(
      part('0', { sources: ['s'], repartitionSinks: ['r'] }),
      part('1', { sources: ['t'], repartitionSources: [own('r', fixed)], copartitioned: [['t', 'r']] }),
    )
  expect(configure(joining(0), catalog({ s: 2, t: 6 })).missing).toEqual([own('r', 6)])
  expect(configure(joining(3), catalog({ s: 2, t: 6 })).problems).toMatchObject([
    { statusCode: StreamsStatus.incorrectlyPartitionedTopics, statusDetail: expect.stringContaining('t, r') },
  ])
  const both = topology(part('0', { sources: ['s', 't'], copartitioned: [['s', 't']] }))
  expect(configure(both, catalog({ s: 2, t: 6 })).problems).toHaveLength(1)
})

test('[STG-2] missing sources, and topics that are there with other partitions, are told', () => {
  expect(configure(counter, catalog({})).problems).toEqual([
    { statusCode: StreamsStatus.missingSourceTopics, statusDetail: 'Source topics lines are missing.' },
  ])
  expect(configure(counter, catalog({ lines: 3, words: 2 })).problems).toMatchObject([
    {
      statusCode: StreamsStatus.incorrectlyPartitionedTopics,
      statusDetail: expect.stringContaining('2 partitions instead of 3'),
    },
  ])
})

test('[STG-2] a source that is its own changelog is not made', () => {
  const table = topology(part('0', { sources: ['s'], changelogs: [own('s')] }))
  expect(configure(table, catalog({ s: 4 }))).toMatchObject({ problems: [], missing: [] })
})

test('[STG-6] what can never run is refused', () => {
  const circle = topology(part('0', { repartitionSources: [own('r')], repartitionSinks: ['r'] }))
  expect(codeOf(() => configure(circle, catalog({})))).toBe(ErrorCode.STREAMS_INVALID_TOPOLOGY)
  for (const wrong of [
    topology(),
    topology(part('0', {})),
    topology(part('0', { sources: ['a'] }), part('0', { sources: ['b'] })),
  ])
    expect(codeOf(() => checkTopology(wrong))).toBe(ErrorCode.STREAMS_INVALID_TOPOLOGY)
  const huge = topology(
    part('0', { sources: Array.from({ length: 5000 }, (_, index) => `${'x'.repeat(240)}${index}`) }),
  )
  expect(codeOf(() => checkTopology(huge))).toBe(ErrorCode.STREAMS_INVALID_TOPOLOGY)
})
