/** What the coordinator asks of whoever knows the topics. */
export interface KnownTopic {
  readonly id: string
  readonly name: string
  readonly partitions: { readonly length: number }
}

export interface TopicCatalog {
  /** Another number after each topic that was made, grown or deleted. */
  readonly topicsVersion: number
  topics(): Iterable<KnownTopic>
  topicByName(name: string): KnownTopic | undefined
  topicById(id: string): KnownTopic | undefined
}
