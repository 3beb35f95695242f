/**
 * Finds the reader of a topic that has least to do.
 *
 * A heap for each set of members that read the same topics, and over the topic's sets one more. Loads change while the
 * heaps are in use: whoever's load has changed is put in again, and entries that say something else than the load is are
 * passed over.
 */
import { type Entry, Heap } from './heap.ts'

export interface Loaded {
  /** Breaks ties, so that the same question has the same answer. */
  readonly order: number
  load: number
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
