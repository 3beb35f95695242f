/** Many updates as one, what was deleted left out; a little in each turn, since everybody's requests run on this thread. */
import { yjs } from './yjs.ts'

const UPDATES_PER_TURN = 200

export async function mergedUpdates(updates: readonly Uint8Array[]): Promise<Uint8Array> {
  const { Doc, applyUpdate, encodeStateAsUpdate } = await yjs()
  const doc = new Doc()
  try {
    for (let at = 0; at < updates.length; at += UPDATES_PER_TURN) {
      const slice = updates.slice(at, at + UPDATES_PER_TURN)
      // In one transaction: what Yjs does at the end of each is most of the work.
      doc.transact(() => {
        for (const update of slice) {
          try {
            applyUpdate(doc, update)
          } catch {
            // Bytes that are no update, which somebody wrote: no reader makes more of them.
          }
        }
      })
      await new Promise((resolve) => setImmediate(resolve))
    }
    // What waits for updates that are not there is in it too.
    return encodeStateAsUpdate(doc)
  } finally {
    doc.destroy()
  }
}
