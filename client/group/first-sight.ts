/**
 * Topics as this member saw them first. A partition that was added to one later, or a topic that was made anew, has nothing
 * old in it: whoever begins at the end means the end as it was then, and reads all of these.
 */
import type { TopicInfo } from '../core.ts'
import type { IdentifiedPartition } from './committed-offsets.ts'

export class FirstSight {
  readonly #topics = new Map<string, TopicInfo>()

  note(topic: TopicInfo): void {
    if (!this.#topics.has(topic.name)) this.#topics.set(topic.name, topic)
  }

  isLater({ topic, topicId, partition }: IdentifiedPartition): boolean {
    const first = this.#topics.get(topic)
    return first !== undefined && (first.id !== topicId || partition >= first.partitionCount)
  }
}
