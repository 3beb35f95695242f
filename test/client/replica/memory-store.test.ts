import { MemoryDatabase, MemoryStore } from '../../../client/replica/memory-store.ts'
import { describeReplicaStore } from '../../contract/replica-store.ts'

describeReplicaStore('memory store', async () => {
  const database = new MemoryDatabase()
  return {
    open: () => new MemoryStore(database),
    clear: async () => database.clear(),
    dispose: async () => {},
  }
})
