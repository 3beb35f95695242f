/**
 * Finds the reader of a topic that has least to do.
 *
 * A heap for each set of members that read the same topics, and over the topic's sets one more. Loads change while the
 * heaps are in use: whoever's load has changed is put in again, and entries that say something else than the load is are
 * passed over.
 */
export interface Loaded {
  /** Breaks ties, so that the same question has the same answer. */
  readonly order: number
  load: number
}

interface Entry<Item> {
  item: Item
  load: number
  order: number
}

class Heap<Item> {
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

  pop(): void {
    const entries = this.#entries
    const last = entries.pop()
    if (!last || entries.length === 0) return
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
  }
}

function isLess(a: Entry<unknown>, b: Entry<unknown>): boolean {
  return a.load < b.load || (a.load === b.load && a.order < b.order)
}

const entryOf = <Item extends Loaded>(item: Item): Entry<Item> => ({ item, load: item.load, order: item.order })

/** Members that read the same topics. */
export class LoadClass<Member extends Loaded> {
  readonly #heap = new Heap<Member>()

  constructor(members: Iterable<Member>) {
    for (const member of members) this.changed(member)
  }

  changed(member: Member): void {
    this.#heap.push(entryOf(member))
  }

  least(): Member {
    for (;;) {
      const { item, load } = this.#heap.peek()!
      if (item.load === load) return item
      this.#heap.pop()
    }
  }
}

/** Of all readers of one topic. Only `take` may change loads while it is in use, and only upwards. */
export class LeastLoaded<Member extends Loaded> {
  readonly #heap = new Heap<LoadClass<Member>>()

  constructor(classes: Iterable<LoadClass<Member>>) {
    for (const each of classes) this.#put(each)
  }

  least(): Member {
    for (;;) {
      const { item, load } = this.#heap.peek()!
      const member = item.least()
      if (member.load === load) return member
      this.#heap.pop()
      this.#put(item)
    }
  }

  #put(each: LoadClass<Member>): void {
    const { load, order } = each.least()
    this.#heap.push({ item: each, load, order })
  }
}
