/** Reads `TOPIC` and `TOPIC:0,2`, as Kafka's tools write them. */

import type { Admin, TopicPartition } from '../client/node.ts'
import { UsageError } from './command.ts'

export interface TopicSelection {
  topic: string
  /** undefined: all of them. */
  partitions: readonly number[] | undefined
}

/** @throws UsageError */
export function parseTopicSelection(text: string): TopicSelection {
  const [topic = '', list, ...more] = text.split(':')
  const partitions = list?.split(',').map((each) => (/^\d{1,9}$/.test(each) ? Number(each) : Number.NaN))
  if (topic === '' || more.length > 0 || partitions?.some(Number.isNaN))
    throw new UsageError(`--topic: '${text}' is not allowed; use TOPIC or TOPIC:0,2`)
  return { topic, partitions }
}

/** Asks the relay which partitions there are of topics without a list. */
export async function partitionsNamed(admin: Admin, texts: readonly string[]): Promise<TopicPartition[]> {
  const selections = texts.map(parseTopicSelection)
  const whole = selections.filter(({ partitions }) => partitions === undefined).map(({ topic }) => topic)
  const described = whole.length > 0 ? await admin.describeTopics([...new Set(whole)]) : []
  return selections.flatMap(({ topic, partitions }) => {
    const all = described.find(({ name }) => name === topic)?.partitions.map(({ partition }) => partition)
    return (partitions ?? all ?? []).map((partition) => ({ topic, partition }))
  })
}
