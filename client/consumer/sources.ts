/** Decides where a reader of a topic reads from. */
import type { CodecRegistry } from '../../protocol/compression.ts'
import type { Core, ReplicaPolicy } from '../core.ts'
import type { Lanes } from './lanes.ts'
import { openReplicaSource } from './replica-source.ts'
import type { Source } from './source.ts'

export class Sources {
  readonly #core: Core
  readonly #codecs: CodecRegistry
  readonly #openLanes: () => Promise<Lanes>
  #lanes: Promise<Lanes> | undefined

  /** `openLanes` is called when the first live reader needs a connection of this context's own. */
  constructor(core: Core, codecs: CodecRegistry, openLanes: () => Promise<Lanes>) {
    this.#core = core
    this.#codecs = codecs
    this.#openLanes = openLanes
  }

  /** With a policy from the replica, without one live. */
  async open(
    topic: string,
    policy: ReplicaPolicy | null,
    partitions: readonly number[] | undefined,
    signal: AbortSignal,
  ): Promise<Source> {
    if (policy) return openReplicaSource(this.#core, topic, policy, this.#codecs, signal)
    this.#lanes ??= this.#openLanes().catch((failure: unknown) => {
      this.#lanes = undefined
      throw failure
    })
    const [{ openLiveSource }, lanes] = await Promise.all([import('./live-source.ts'), this.#lanes])
    return openLiveSource(lanes, topic, partitions, signal)
  }

  async close(): Promise<void> {
    const lanes = await this.#lanes?.catch(() => undefined)
    await lanes?.close()
  }
}
