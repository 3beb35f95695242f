/** Windows of one browser at one document: what one types the others have at once, without a network too. */
import type { OttlaProvider } from 'ottla/yjs'
import { applyUpdate, type Doc } from 'yjs'

/** The provider of the window where it was typed has it in the outbox; those of the others must not write it again. */
export function shareWithWindows(name: string, doc: Doc, provider: OttlaProvider): void {
  const channel = new BroadcastChannel(`editor/${name}`)
  channel.addEventListener('message', ({ data }: MessageEvent<Uint8Array>) => applyUpdate(doc, data, provider))
  doc.on('update', (update: Uint8Array, origin: unknown) => {
    if (origin !== provider) channel.postMessage(update)
  })
}
