/** A seat and the tabs that come to it, in one thread, with time moved by hand. */
import { expect, test } from 'vitest'
import type { Core } from '../../client/core.ts'
import { loggedOutError } from '../../client/replica/store-error.ts'
import { HandClock } from '../../protocol/lib/clock.ts'
import { seededRandom } from '../../protocol/lib/random.ts'
import { asNote, CONTRACT_VERSION, type CoreConfig, type HostNote, lockNames } from '../../worker/contract.ts'
import { portLine } from '../../worker/line.ts'
import type { Locks } from '../../worker/locks.ts'
import { initialStatus } from '../../worker/page-status.ts'
import { Seat } from '../../worker/seat.ts'
import { eventually } from '../support/eventually.ts'

const config = { url: 'ws://x/', replica: 'seats', options: {} }

/** A core that takes its time to close. */
function slowCore() {
  const state = { isClosing: false }
  let finish = () => {}
  const closing = new Promise<void>((resolve) => {
    finish = resolve
  })
  const core = {
    status: () => initialStatus('seats'),
    onStatus: () => () => {},
    onAdvanced: () => () => {},
    onSettled: () => () => {},
    tables: { onNews: () => () => {} },
    close: () => {
      state.isClosing = true
      return closing
    },
  } as unknown as Core
  return { core, state, finish }
}

function join(seat: Seat, tabId: string, life: number | null = null) {
  const { port1, port2 } = new MessageChannel()
  seat.attach(port2)
  const line = portLine(port1)
  const heard: string[] = []
  line.listen((data) => {
    const note = asNote<HostNote>(data)
    if (note) heard.push(note.ottla)
  })
  line.post({
    ottla: 'join',
    contract: CONTRACT_VERSION,
    tabId,
    instance: null,
    lineId: `line of ${tabId}`,
    config: { ...config, life },
  })
  return { heard, line }
}

test('[WRK-27] a tab that comes while its seat steps down is not refused: the next leader serves it', async () => {
  const clock = new HandClock()
  const former = slowCore()
  const cores = [former.core, slowCore().core]
  const seat = new Seat({
    clock,
    random: seededRandom(1),
    locks: undefined,
    openChannel: (name) => new BroadcastChannel(name),
    openCore: async () => cores.shift()!,
  })
  const first = join(seat, 'first')
  await eventually(() => first.heard.includes('hello'))
  first.line.post({ ottla: 'leave' })
  // The last tab is gone: the seat lets go, and its core is slow about it.
  await eventually(() => {
    clock.advance(100)
    return former.state.isClosing
  })
  const second = join(seat, 'second')
  await eventually(() => second.heard.length > 0)
  former.finish()
  await eventually(() => {
    clock.advance(10)
    return second.heard.includes('hello')
  })
  expect(second.heard).toEqual(['seated', 'hello'])
  first.line.close()
  second.line.close()
})

/** Exclusive locks, granted in the order in which they were asked for. */
function queuedLocks(): Locks {
  const tails = new Map<string, Promise<unknown>>()
  const request = (name: string, _options: LockOptions, held: () => Promise<void>) => {
    const turn = (tails.get(name) ?? Promise.resolve()).then(held)
    tails.set(name, turn)
    return turn
  }
  return { request, query: async () => ({ held: [], pending: [] }) } as unknown as Locks
}

for (const leaves of [false, true]) {
  test(`[LGO-9] a seat does not open anew what was ended while its tab waited${leaves ? ' and left' : ''}`, async () => {
    const locks = queuedLocks()
    let endFormer = () => {}
    const former = new Promise<void>((resolve) => {
      endFormer = resolve
    })
    void locks.request(lockNames.core('seats'), {}, () => former)
    const opened: CoreConfig[] = []
    const seat = new Seat({
      clock: new HandClock(),
      random: seededRandom(1),
      locks,
      openChannel: (name) => new BroadcastChannel(name),
      openCore: async (config) => {
        opened.push(config)
        throw loggedOutError().toOttlaError()
      },
    })
    const tab = join(seat, 'tab')
    tab.line.post({ ottla: 'life', life: 4 })
    if (leaves) tab.line.post({ ottla: 'leave' })
    const other = join(seat, 'the one that is heard after it', 4)
    await eventually(() => other.heard.includes('seated'))
    other.line.post({ ottla: 'leave' })
    endFormer()
    await eventually(() => opened.length > 0)
    expect(opened[0]!.life).toBe(4)
    if (!leaves) await eventually(() => tab.heard.includes('refused'))
    tab.line.close()
    other.line.close()
  })
}
