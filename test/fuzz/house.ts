/** Puts a relay back in order now and then: the topics of TOPIC_NAMES are there, what a flood has made is not. */
import { uuidToBytes } from '../../protocol/lib/uuid.ts'
import { deleteGroups, listGroups } from '../../protocol/messages/group-admin.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { deleteTopics } from '../../protocol/messages/topics.ts'
import type { RelayClient } from '../support/relay-client.ts'
import type { KnownValues } from './known-values.ts'
import { TOPIC_NAMES } from './recorded-requests.ts'

/** Of TOPIC_NAMES: two as they come, one that stamps what it is given, one that looks into it. */
const CONFIGS: ReadonlyArray<Record<string, string>> = [
  {},
  {},
  { 'message.timestamp.type': 'LogAppendTime' },
  { 'cleanup.policy': 'compact' },
]

export class House {
  /** Of TOPIC_NAMES, as they are now. */
  topicIds: Uint8Array[] = []
  readonly #client: RelayClient
  readonly #known: KnownValues
  #restoring: Promise<void> | undefined

  constructor(client: RelayClient, known: KnownValues) {
    this.#client = client
    this.#known = known
  }

  /** Everything goes, and begins anew. */
  async tidy(): Promise<void> {
    await this.#restoring
    const { topics } = await this.#client.call(metadata, { topics: null })
    const doomed = topics.map(({ topicId }) => ({ name: null, topicId }))
    await this.#client.call(deleteTopics, { topics: doomed, timeoutMs: 10_000 })
    const { groups } = await this.#client.call(listGroups, {})
    await this.#client.call(deleteGroups, { groupsNames: groups.map(({ groupId }) => groupId) })
    await this.restore()
  }

  /** Topics that a request has deleted are there again, while the flood goes on. */
  restore(): Promise<void> {
    this.#restoring ??= this.#restore().finally(() => {
      this.#restoring = undefined
    })
    return this.#restoring
  }

  async #restore(): Promise<void> {
    const made = []
    for (const [index, name] of TOPIC_NAMES.entries())
      made.push({ name, id: uuidToBytes(await this.#idOf(index, name)) })
    this.topicIds = made.map(({ id }) => id)
    this.#known.setTopics(made)
  }

  async #idOf(index: number, name: string): Promise<string> {
    const { topics } = await this.#client.call(metadata, { topics: [{ name }] })
    if (topics[0]!.errorCode === 0) return topics[0]!.topicId
    // A case may have made it meanwhile.
    return this.#client
      .createTopic(name, { partitions: 1 + index, configs: CONFIGS[index] })
      .catch(() => this.#client.topicId(name))
  }
}
