/**
 * Where the documents of one partition are: by key the newest snapshot, and the offsets of the updates behind it. So opening
 * a document reads what belongs to it and nothing else, however much the partition holds of others.
 *
 * In memory, and made anew from the logs when it is needed first after a start.
 */
export interface DocumentPlace {
  /** Offset of the newest snapshot in the companion topic; -1: there is none. */
  snapshotAt: number
  /** Updates below this offset are in the snapshot. */
  covers: number
  /** Of updates at or above `covers`, ascending. */
  updates: number[]
}

const NOWHERE: DocumentPlace = { snapshotAt: -1, covers: 0, updates: [] }

export class DocumentIndex {
  readonly #places = new Map<string, DocumentPlace>()

  get count(): number {
    return this.#places.size
  }

  place(key: string): Readonly<DocumentPlace> {
    return this.#places.get(key) ?? NOWHERE
  }

  has(key: string): boolean {
    return this.#places.has(key)
  }

  /** The number of updates that no snapshot covers. */
  addUpdate(key: string, offset: number): number {
    const place = this.#of(key)
    if (offset >= place.covers) place.updates.push(offset)
    return place.updates.length
  }

  /**
   * The newest counts, since the companion topic keeps no other. False when it covers less than the one before: updates in
   * between are not known any more.
   */
  addSnapshot(key: string, snapshotAt: number, covers: number): boolean {
    const place = this.#of(key)
    // Written here, and known since then.
    if (snapshotAt <= place.snapshotAt) return true
    const isBack = covers < place.covers
    place.snapshotAt = snapshotAt
    place.covers = covers
    place.updates = place.updates.filter((offset) => offset >= covers)
    return !isBack
  }

  /** Of updates from `startOffset` on: the oldest that no snapshot covers. Infinity: each is in one. */
  oldestUpdate(startOffset: number): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { updates } of this.#places.values())
      oldest = Math.min(oldest, updates.find((offset) => offset >= startOffset) ?? oldest)
    return oldest
  }

  /** Documents with updates in the range that no snapshot covers. */
  *withUpdates(startOffset: number, endOffset: number): Iterable<string> {
    for (const [key, { updates }] of this.#places)
      if (updates.some((offset) => offset >= startOffset && offset < endOffset)) yield key
  }

  /** All updates are to be added again. */
  forgetUpdates(): void {
    for (const place of this.#places.values()) place.updates = []
  }

  #of(key: string): DocumentPlace {
    const place = this.#places.get(key) ?? { snapshotAt: -1, covers: 0, updates: [] }
    this.#places.set(key, place)
    return place
  }
}
