/** A host and its tabs over real ports, with time moved by hand. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ChannelAsk } from '../../client/channels/ask.ts'
import type { Core, Settled, Status } from '../../client/core.ts'
import { HandClock } from '../../protocol/lib/clock.ts'
import { Emitter } from '../../protocol/lib/events.ts'
import { Attachment, HostLost } from '../../worker/attachment.ts'
import type { EventsNote, HostNote, LeaderInfo } from '../../worker/contract.ts'
import { Host } from '../../worker/host.ts'
import { portLine } from '../../worker/line.ts'
import { initialStatus } from '../../worker/page-status.ts'
import { eventually } from '../support/eventually.ts'

const leader: LeaderInfo = {
  contract: 1,
  instance: 'i1',
  seatId: 's1',
  clientId: null,
  generation: 1,
  url: 'ws://x/',
  life: 0,
}
const status = new Emitter<Status>()
const settled = new Emitter<Settled[]>()
const asked: ChannelAsk[] = []
/** Only what these tests call. */
const core = {
  status: () => initialStatus('r'),
  onStatus: (listener: (status: Status) => void) => status.on(listener),
  onAdvanced: () => () => {},
  onSettled: (listener: (settled: Settled[]) => void) => settled.on(listener),
  tables: { onNews: () => () => {} },
  topic: async (name: string) => ({ name, id: 'A'.repeat(22), partitionCount: 1 }),
  request: () => new Promise(() => {}),
  channel: async (ask: ChannelAsk) => void asked.push(ask),
} as unknown as Core

let clock: HandClock
/** The tabs' clock: another process has another one. */
let pageClock: HandClock
let host: Host
let counts: number[]
const ports: MessagePort[] = []

beforeEach(() => {
  clock = new HandClock()
  pageClock = new HandClock()
  counts = []
  host = new Host({ core, leader, clock, locks: undefined, tabsMax: 3, onTabs: (count) => counts.push(count) })
})

afterEach(() => {
  host.close()
  for (const port of ports.splice(0)) port.close()
})

async function join(tabId: string): Promise<{ attachment: Attachment; events: EventsNote[] }> {
  const { port1, port2 } = new MessageChannel()
  ports.push(port1, port2)
  const line = portLine(port1)
  const note = new Promise<HostNote>((resolve) => line.listen((data) => resolve(data as HostNote)))
  host.add(tabId, portLine(port2))
  const hello = await note
  if (hello.ottla !== 'hello') throw new Error(`expected hello, got ${JSON.stringify(hello)}`)
  const events: EventsNote[] = []
  const attachment = new Attachment(line, hello, {
    clock: pageClock,
    locks: undefined,
    onEvents: (event) => events.push(event),
  })
  return { attachment, events }
}

const answer = async (attachment: Attachment) => (await attachment.call('topic', 't')).ok

test('[WRK-19] every tab gets its calls answered and the news told', async () => {
  const [a, b] = [await join('a'), await join('b')]
  expect([await answer(a.attachment), await answer(b.attachment)]).toEqual([true, true])
  settled.emit([{ id: 'w', outcome: 'committed', partitions: [0], offsets: [4] }])
  clock.advance(5)
  await eventually(() => a.events.length === 1 && b.events.length === 1)
  expect(a.events[0]?.settled?.[0]?.id).toBe('w')
})

test('[WRK-13] without locks a silent tab is dropped after three minutes, one that speaks is not', async () => {
  await join('silent')
  const { attachment } = await join('speaking')
  for (let count = 0; count < 2; count++) {
    clock.advance(100_000)
    await answer(attachment)
  }
  expect(host.tabCount).toBe(1)
})

test('[WRK-29] what a tab said last is heard, though its lock is free by then', async () => {
  let setFree = () => {}
  const request = () => new Promise<void>((resolve) => (setFree = resolve))
  const locks = { request, query: async () => ({}) } as unknown as LockManager
  host = new Host({ core, leader, clock, locks, onTabs: (count) => counts.push(count) })
  const { attachment } = await join('a')
  setFree()
  await new Promise((resolve) => setImmediate(resolve))
  expect(await answer(attachment)).toBe(true)
  await clock.advanceAsync(500)
  expect(counts).toEqual([1, 0])
})

test('[WRK-13] a tab that leaves is forgotten at once', async () => {
  const { attachment } = await join('a')
  attachment.lose('left')
  await eventually(() => host.tabCount === 0)
  expect(counts).toEqual([1, 0])
})

test('[CHN-9] a tab that dies has left its channels, but for one that it left itself', async () => {
  const { attachment } = await join('a')
  const ask: Omit<ChannelAsk, 'handle'> = {
    topic: 't',
    channel: 'c',
    state: null,
    act: { is: 'listen', after: 0, waitMs: 1 },
  }
  for (const handle of ['h1', 'h2']) await attachment.call('channel', { ...ask, handle })
  await attachment.call('channel', { ...ask, handle: 'h1', act: { is: 'leave' } })
  asked.length = 0
  host.drop('a')
  expect(asked).toEqual([{ ...ask, handle: 'h2', act: { is: 'leave' } }])
})

test('[WRK-19] beyond the greatest number of tabs one is refused with the limit', async () => {
  for (const id of ['a', 'b', 'c']) await join(id)
  await expect(join('d')).rejects.toThrow('3 tabs')
})

test('[WRK-20] a host that steps down ends the calls under way', async () => {
  const { attachment } = await join('a')
  const call = attachment.call('request', 'CreateTopics', {})
  host.close()
  await expect(call).rejects.toBeInstanceOf(HostLost)
  expect(await attachment.lost).toBe('stepped-down')
  await expect(attachment.call('ping')).rejects.toBeInstanceOf(HostLost)
})

test('[WRK-20] a host that is silent beyond ping and grace is judged hung, one that answers is not', async () => {
  const { attachment } = await join('a')
  pageClock.advance(5_000)
  await answer(attachment)
  pageClock.advance(4_500)
  expect(attachment.isLost).toBe(false)
  pageClock.advance(5_000)
  // Its answer can't come: nothing but timers runs between here and the verdict.
  pageClock.advance(4_000)
  pageClock.advance(500)
  expect(await attachment.lost).toBe('hung')
})
