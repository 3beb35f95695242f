/**
 * Which leader epoch began at which offset. Epochs and offsets both rise. A client whose last record has epoch e knows
 * from the end of e in this table whether the log was cut behind its back (KIP-101, KIP-320).
 */
export type EpochEntry = [epoch: number, startOffset: number]

export class EpochTable {
  #entries: EpochEntry[]

  constructor(entries: readonly EpochEntry[] = []) {
    this.#entries = entries.map(([epoch, start]) => [epoch, start])
  }

  get latest(): number {
    return this.#entries.at(-1)?.[0] ?? 0
  }

  get entries(): readonly EpochEntry[] {
    return this.#entries
  }

  /** `epoch` begins at `startOffset`. An older epoch that has no record of its own before that is forgotten. */
  begin(epoch: number, startOffset: number): void {
    if (this.#entries.length > 0 && epoch <= this.latest) return
    while (this.#entries.length > 0 && this.#entries.at(-1)![1] >= startOffset) this.#entries.pop()
    this.#entries.push([epoch, startOffset])
  }

  /**
   * The largest epoch that is not above `epoch`, and the offset after its last record. Both -1 when `epoch` is older
   * than all that is known, or newer than the latest.
   */
  endOf(epoch: number, logEndOffset: number): { epoch: number; endOffset: number } {
    if (epoch > this.latest) return { epoch: -1, endOffset: -1 }
    const next = this.#entries.findIndex(([other]) => other > epoch)
    const index = next < 0 ? this.#entries.length - 1 : next - 1
    const entry = this.#entries[index]
    if (!entry) return { epoch: -1, endOffset: -1 }
    return { epoch: entry[0], endOffset: this.#entries[index + 1]?.[1] ?? logEndOffset }
  }

  /** Offsets from `endOffset` on are gone. */
  cutAt(endOffset: number): void {
    while (this.#entries.length > 1 && this.#entries.at(-1)![1] >= endOffset) this.#entries.pop()
  }

  /** The table of a log that begins at `startOffset`. */
  from(startOffset: number): EpochTable {
    const table = new EpochTable(this.#entries)
    table.dropBelow(startOffset)
    return table
  }

  /** Offsets below `startOffset` are gone: of the epochs that began there only the last still has records. */
  dropBelow(startOffset: number): void {
    while (this.#entries.length > 1 && this.#entries[1]![1] <= startOffset) this.#entries.shift()
    const first = this.#entries[0]
    if (first && first[1] < startOffset) first[1] = startOffset
  }
}
