/** What frameworks show, over a real relay: stores first, then what each framework makes of them. */
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { ottlaHooks, type ReactLike } from '../../../client/hooks/react.ts'
import { outboxStore, statusStore, tableStore, topicStore } from '../../../client/hooks/stores.ts'
import { readable } from '../../../client/hooks/svelte.ts'
import { ottlaRefs } from '../../../client/hooks/vue.ts'
import { connect, type Ottla, type Serde, string } from '../../../client/index.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'

let relay: Relay
let ottla: Ottla

beforeEach(async () => {
  relay = await createRelay({ files: new MemoryFiles(), config: { dataDir: 'data', httpPort: 0 } })
  ottla = await connect(relay.websocket.url, { backoff: { delayMsFirst: 20, delayMsMax: 100 } })
  await ottla.admin.createTopics([{ name: 'notes', configs: { 'cleanup.policy': 'compact' } }])
})

afterEach(async () => {
  await ottla.close()
  await relay.close()
})

test('[HKS-1] a snapshot stays the same object until something changes; nothing is done while nobody looks', async () => {
  const store = tableStore<string, string>(ottla, 'notes', {}, { prefix: 'n' })
  const before = store.getSnapshot()
  expect(before).toMatchObject({ table: undefined, rows: [], isReady: false, error: null })
  expect(store.getSnapshot()).toBe(before)
  let changes = 0
  const end = store.subscribe(() => changes++)
  await eventually(() => store.getSnapshot().isReady)
  const table = store.getSnapshot().table!
  await table.put('n1', 'one').committed
  await table.put('other', 'two').committed
  await eventually(() => store.getSnapshot().rows.some(({ state }) => state === 'committed'))
  const now = store.getSnapshot()
  expect(now.rows.map(({ key, value }) => [key, value])).toEqual([['n1', 'one']])
  expect(store.getSnapshot()).toBe(now)
  end()
  const told = changes
  await ottla.topic('notes', { value: string }).send({ key: 'n2', value: '"x"' }).committed
  expect([store.getSnapshot(), changes]).toEqual([now, told])
  onTestFinished(store.subscribe(() => {}))
  await eventually(() => store.getSnapshot().rows.length === 2)
})

test('[HKS-2] the outbox and the status follow what waits; a table that is not there says why', async () => {
  const [outbox, status] = [outboxStore(ottla), statusStore(ottla)]
  const missing = tableStore(ottla, 'nowhere')
  for (const store of [outbox, status, missing]) onTestFinished(store.subscribe(() => {}))
  await eventually(() => missing.getSnapshot().error?.code === 'UNKNOWN_TOPIC')
  await relay.close()
  await eventually(() => status.getSnapshot().state !== 'live')
  await ottla.topic('notes', { value: string }).send({ key: 'a', value: 'b' }).stored
  await eventually(() => outbox.getSnapshot().entries.length === 1)
  expect(outbox.getSnapshot().entries[0]).toMatchObject({ topic: 'notes' })
})

test('[HKS-3] a topic shows its newest records, oldest first', async () => {
  const topic = ottla.topic('notes', { value: string })
  await Promise.all(
    topic.sendAll(['a', 'b', 'c'].map((value) => ({ key: value, value }))).map((each) => each.committed),
  )
  const store = topicStore(ottla, 'notes', { value: string, last: 2 })
  onTestFinished(store.subscribe(() => {}))
  const values = () =>
    store
      .getSnapshot()
      .records.map(({ value }) => value)
      .join('')
  await eventually(() => values() === 'bc')
  await topic.send({ key: 'd', value: 'd' }).committed
  await eventually(() => values() === 'cd')
})

test('[HKS-4] React gets stable subscriptions, Vue a ref that ends with its scope, Svelte a value at once', async () => {
  const made: unknown[] = []
  let memo: { dependencies: string; value: unknown } | undefined
  const react: ReactLike = {
    useMemo(make, dependencies) {
      const text = JSON.stringify(dependencies.slice(1))
      if (memo?.dependencies !== text) {
        memo = { dependencies: text, value: make() }
        made.push(memo.value)
      }
      return memo.value as ReturnType<typeof make>
    },
    useSyncExternalStore: (_subscribe, snapshot) => snapshot(),
  }
  const { useTable } = ottlaHooks(react, ottla)
  const shows = [{ prefix: 'n' }, { prefix: 'n' }, { prefix: 'm' }].map((selection) => useTable('notes', {}, selection))
  expect(shows[0]).toBe(shows[1])
  expect(made.length).toBe(2)
  const bigKey: Serde<bigint> = {
    encode: (value) => string.encode(`${value}`),
    decode: (view) => BigInt(string.decode(view)),
  }
  for (const from of [1n, 1n, 2n]) useTable('notes', { key: bigKey }, { from })
  expect(made.length).toBe(4)

  const ends: Array<() => void> = []
  const vue = { shallowRef: <T>(value: T) => ({ value }), onScopeDispose: (end: () => void) => void ends.push(end) }
  const rows = ottlaRefs(vue, ottla).useTable<string, string>('notes')
  await eventually(() => rows.value.isReady)
  for (const end of ends) end()

  const seen: string[] = []
  readable(statusStore(ottla)).subscribe(({ state }) => void seen.push(state))()
  expect(seen).toEqual(['live'])
})
