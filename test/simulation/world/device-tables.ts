/**
 * A browser's tables: a database of its own beside the replica's, which outlives its tabs. Everything in it may be lost in a
 * power cut, whatever the replica keeps, since it is written relaxed.
 */
import { MemoryTableStore } from '../../../client/table/memory-store.ts'
import type { PageQuery, TablePosition, TableStore } from '../../../client/table/store.ts'
import type { DeviceStorage } from './device-storage.ts'
import type { Process } from './process.ts'

export class DeviceTables {
  memory = new MemoryTableStore()
  /** What a power cut leaves at the worst: how it was after the last one. */
  #durable = new MemoryTableStore()

  cutPower(wasWritten: boolean): void {
    if (wasWritten) this.#durable = this.memory
    this.memory = this.#durable.copy()
  }

  /** As one tab sees it: its calls end with it. */
  store(process: Process, storage: DeviceStorage): TableStore {
    const { memory } = this
    const read = <T>(effect: () => Promise<T>) => process.call(storage.dice.skewed(0.1, 5), effect)
    const write = (name: string, effect: () => Promise<void>) =>
      process.call(storage.dice.skewed(0.3, 20), () => {
        storage.trace.add(process.name, `tables: ${name}`)
        return effect()
      })
    return {
      isReadByPages: false,
      load: (topic) => read(() => memory.load(topic)),
      putTable: (table) => write('table', () => memory.putTable(table)),
      dropTable: (topicId) => write('drop table', () => memory.dropTable(topicId)),
      change: (topicId: string, keys, expected: TablePosition | null, compute) =>
        write('rows', () => memory.change(topicId, keys, expected, compute)),
      rows: (topicId, keys) => read(() => memory.rows(topicId, keys)),
      page: (query: PageQuery) => read(() => memory.page(query)),
      count: (query) => read(() => memory.count(query)),
      close: async () => {},
    }
  }
}
