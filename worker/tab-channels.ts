/** The channels that one tab is in. Whoever notices that the tab is gone leaves them for it: it may have died silently. */
import type { ChannelAnswer, ChannelAsk } from '../client/channels/ask.ts'
import type { Core } from '../client/core.ts'

export class TabChannels {
  readonly #core: Core
  readonly #asked = new Map<string, ChannelAsk>()

  constructor(core: Core) {
    this.#core = core
  }

  answer(ask: ChannelAsk): Promise<ChannelAnswer> {
    if (ask.act.is === 'leave') this.#asked.delete(ask.handle)
    else this.#asked.set(ask.handle, ask)
    return this.#core.channel(ask)
  }

  leave(): void {
    // Nobody is left to be told of a failure; the relay forgets a member whose connection ends anyway.
    for (const ask of this.#asked.values()) this.#core.channel({ ...ask, act: { is: 'leave' } }).catch(() => {})
    this.#asked.clear()
  }
}
