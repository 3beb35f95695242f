/** The topics that a member subscribes to by a regular expression, of those that it may see. */
import type { NameSelector } from '../../pattern/name-selector.ts'
import type { ResolvedPattern } from './consumer-state.ts'
import type { TopicCatalog } from './topics.ts'

/** Rejects with KafkaError INVALID_REGULAR_EXPRESSION. */
export async function resolvePattern(
  regex: string,
  topics: TopicCatalog,
  isVisible: (topic: string) => boolean,
  selector: NameSelector,
): Promise<ResolvedPattern> {
  const { topicsVersion } = topics
  const names = [...topics.topics()].map(({ name }) => name)
  const matched = await selector.select(regex, names, isVisible)
  return { regex, names: matched.sort(), topicsVersion }
}
