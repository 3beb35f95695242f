import type { Ottla } from '../../../client/index.ts'

/** Resolves with the number of offsets held when the replica says that it has everything; rejects when nothing can be stored. */
export function upToDate(ottla: Ottla, topic: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const { storageError } = ottla.status
      if (storageError) reject(new Error(`${storageError.code} (${storageError.storage}): ${storageError.message}`))
      const [range] = ottla.status.topics.find((each) => each.name === topic)?.replica ?? []
      if (!range?.upToDate || range.end <= range.start) return
      unlisten()
      resolve(range.end - range.start)
    }
    const unlisten = ottla.onStatus(look)
    look()
  })
}
