/**
 * What one asker has not been told yet of its channel. Bounded: the newest state of each member, and the newest messages.
 */
import type { ChannelAnswer } from './ask.ts'

export const MESSAGES_MAX = 256
const MESSAGE_BYTES_MAX = 1024 * 1024

export class HandleNews {
  readonly #changed = new Set<string>()
  #messages: ChannelAnswer['messages'] = []
  #messageBytes = 0
  #missed = 0
  #isWhole = true
  #sequence = 0
  #isNew = true
  #wake: () => void = () => {}

  get isEmpty(): boolean {
    return !this.#isNew
  }

  /** Calls back once, when there is something to tell. */
  onNews(wake: () => void): void {
    this.#wake = wake
  }

  changed(memberId: string): void {
    this.#changed.add(memberId)
    this.#came()
  }

  said(from: string, payload: Uint8Array): void {
    this.#messages.push({ from, payload })
    this.#messageBytes += payload.length
    while (this.#messages.length > MESSAGES_MAX || this.#messageBytes > MESSAGE_BYTES_MAX) {
      this.#messageBytes -= this.#messages.shift()!.payload.length
      this.#missed++
    }
    this.#came()
  }

  /** Everybody is to be told anew. */
  replaced(): void {
    this.#isWhole = true
    this.#came()
  }

  /** Empties it. An asker that did not get the answer before is told everything there is. */
  take(after: number, members: ReadonlyMap<string, Uint8Array | null>, me: string | null): ChannelAnswer {
    const isWhole = this.#isWhole || after !== this.#sequence
    const present = isWhole ? [...members.keys()] : [...this.#changed].filter((id) => members.has(id))
    const answer: ChannelAnswer = {
      ...{ sequence: ++this.#sequence, me, isWhole, messages: this.#messages, missed: this.#missed },
      present: present.map((id) => ({ id, state: members.get(id) ?? null })),
      gone: isWhole ? [] : [...this.#changed].filter((id) => !members.has(id)),
    }
    this.#changed.clear()
    this.#messages = []
    this.#messageBytes = 0
    this.#missed = 0
    this.#isWhole = false
    this.#isNew = false
    return answer
  }

  #came(): void {
    this.#isNew = true
    const wake = this.#wake
    this.#wake = () => {}
    wake()
  }
}
