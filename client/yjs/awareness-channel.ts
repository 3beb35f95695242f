/** Awareness over an ephemeral channel of the topic: cursors and names, never in the log. */
import {
  type Awareness,
  applyAwarenessUpdate,
  encodeAwarenessUpdate,
  removeAwarenessStates,
} from 'y-protocols/awareness'
import { AwarenessMembers, awarenessChannelOf } from '../../protocol/documents/awareness-members.ts'
import type { Channel, ChannelMember } from '../channels/channel.ts'
import type { OttlaError } from '../errors.ts'
import type { Ottla } from '../ottla.ts'
import { bytes } from '../serde.ts'

interface Change {
  added: number[]
  updated: number[]
  removed: number[]
}

export class AwarenessChannel {
  readonly #awareness: Awareness
  readonly #members: AwarenessMembers
  readonly #opening: Promise<Channel<Uint8Array, Uint8Array>>
  readonly #onUpdate: (change: Change) => void

  constructor(
    { ottla, topic, documentId }: { ottla: Ottla; topic: string; documentId: string },
    awareness: Awareness,
    onError: (error: OttlaError) => void,
  ) {
    this.#awareness = awareness
    this.#members = new AwarenessMembers({
      apply: (update) => applyAwarenessUpdate(awareness, update, this),
      remove: (clients) => {
        const others = clients.filter((client) => client !== awareness.clientID)
        removeAwarenessStates(awareness, others, this)
        // Who comes back says what it said before, and is to be heard.
        for (const client of others) awareness.meta.delete(client)
      },
    })
    const options = { stateSerde: bytes, messageSerde: bytes, state: this.#own() ?? undefined }
    this.#opening = ottla.channel<Uint8Array, Uint8Array>(topic, awarenessChannelOf(documentId), options)
    this.#onUpdate = ({ added, updated, removed }) => {
      if ([...added, ...updated, ...removed].includes(awareness.clientID)) this.#tell()
    }
    awareness.on('update', this.#onUpdate)
    this.#opening.then((channel) => {
      channel.onJoin((member) => this.#present(member))
      channel.onChange((member) => this.#present(member))
      channel.onLeave(({ id }) => this.#members.gone(id))
      channel.onError(onError)
      channel.onConnection((isConnected) => {
        // Stock providers remember what was said before: it has to be said as something new.
        if (isConnected && awareness.getLocalState()) awareness.setLocalState(awareness.getLocalState())
      })
    }, onError)
  }

  async close(): Promise<void> {
    this.#awareness.off('update', this.#onUpdate)
    const channel = await this.#opening.catch(() => undefined)
    await channel?.close()
    this.#members.keepOnly(new Set())
  }

  #present({ id, state }: ChannelMember<Uint8Array>): void {
    try {
      this.#members.present(id, state)
    } catch {
      // Whoever says what is no awareness is not shown.
      this.#members.gone(id)
    }
  }

  #own(): Uint8Array | null {
    const { clientID } = this.#awareness
    return this.#awareness.getLocalState() === null ? null : encodeAwarenessUpdate(this.#awareness, [clientID])
  }

  #tell(): void {
    this.#opening
      .then((channel) => channel.setState(this.#own()))
      // Closed meanwhile.
      .catch(() => {})
  }
}
