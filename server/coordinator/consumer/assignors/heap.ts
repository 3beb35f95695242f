/** A binary heap: the entry with the least load first, among equals the one with the least order. */
export interface Entry<Item> {
  item: Item
  load: number
  order: number
}

export class Heap<Item> {
  readonly #entries: Entry<Item>[] = []

  peek(): Entry<Item> | undefined {
    return this.#entries[0]
  }

  push(entry: Entry<Item>): void {
    const entries = this.#entries
    let at = entries.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isLess(entry, entries[parent]!)) break
      entries[at] = entries[parent]!
      at = parent
    }
    entries[at] = entry
  }

  pop(): Entry<Item> | undefined {
    const entries = this.#entries
    const first = entries[0]
    const last = entries.pop()
    if (!last || entries.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= entries.length) break
      if (child + 1 < entries.length && isLess(entries[child + 1]!, entries[child]!)) child++
      if (!isLess(entries[child]!, last)) break
      entries[at] = entries[child]!
      at = child
    }
    entries[at] = last
    return first
  }
}

function isLess(a: Entry<unknown>, b: Entry<unknown>): boolean {
  return a.load < b.load || (a.load === b.load && a.order < b.order)
}
