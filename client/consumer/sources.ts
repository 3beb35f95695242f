/** Decides where a reader of a topic reads from. */
import type { CodecRegistry } from '../../protocol/compression.ts'
import type { Core, ReplicaPolicy } from '../core.ts'
import type { Lanes } from './lanes.ts'
import { openReplicaSource } from './replica-source.ts'
import type { Isolation, Source } from './source.ts'

export interface AskedSource {
  policy: ReplicaPolicy | null
  partitions: readonly number[] | undefined
  isolation: Isolation
}

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
  async open(topic: string, { policy, ...asked }: AskedSource, signal: AbortSignal): Promise<Source> {
    if (policy) return openReplicaSource(this.#core, topic, { ...asked, policy }, this.#codecs, signal)
    const [{ openLiveSource }, lanes] = await Promise.all([import('./live-source.ts'), this.lanes()])
    return openLiveSource(lanes, topic, asked, signal)
  }

  /** Connections of this context's own, opened when first asked for. */
  lanes(): Promise<Lanes> {
    this.#lanes ??= this.#openLanes().catch((failure: unknown) => {
      this.#lanes = undefined
      throw failure
    })
    return this.#lanes
  }

  async close(): Promise<void> {
    const lanes = await this.#lanes?.catch(() => undefined)
    await lanes?.close()
  }
}
