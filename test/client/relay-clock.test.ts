/** How far the relay's clock is from this device's: questions and answers over networks that are slow, uneven and jump. */
import { expect, test } from 'vitest'
import { connect } from '../../client/index.ts'
import { RelayClock } from '../../client/relay-clock.ts'
import { HandClock, systemClock } from '../../protocol/lib/clock.ts'
import { seededRandom } from '../../protocol/lib/random.ts'
import { createRelay } from '../../server/relay.ts'
import { MemoryFiles } from '../../server/storage/memory-files.ts'
import { eventually } from '../support/eventually.ts'

/** Asks once: so long there, so long back. */
function exchange(clock: HandClock, relayClock: RelayClock, trueOffsetMs: number, thereMs: number, backMs: number) {
  const answered = relayClock.ask()
  clock.advance(thereMs)
  const serverTimeMs = clock.now() + trueOffsetMs
  clock.advance(backMs)
  answered(serverTimeMs)
}

test('[CLK-1] the quickest of late answers says the offset, and it is never further off than is said', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seededRandom(seed)
    const clock = new HandClock()
    const relayClock = new RelayClock(clock)
    const trueOffsetMs = Math.floor((random.next() - 0.5) * 20_000_000)
    for (let round = 0; round < 12; round++) {
      exchange(clock, relayClock, trueOffsetMs, random.next() * 300, random.next() * 300)
      expect(Math.abs(relayClock.offsetMs! - trueOffsetMs)).toBeLessThanOrEqual(relayClock.errorMs! + 1)
      clock.advance(5_000)
    }
    const before = relayClock.errorMs!
    exchange(clock, relayClock, trueOffsetMs, 1, 1)
    expect(relayClock.errorMs).toBeLessThanOrEqual(Math.min(before, 2))
    expect(Math.abs(relayClock.offsetMs! - trueOffsetMs)).toBeLessThanOrEqual(2)
  }
})

test('[CLK-2] a clock that was set is noticed at the next heartbeat, and what was measured before counts no more', () => {
  for (const jumpMs of [-3_600_000, 3_600_000]) {
    const clock = new HandClock()
    const relayClock = new RelayClock(clock)
    exchange(clock, relayClock, 5_000, 2, 2)
    expect(relayClock.isDue).toBe(false)
    relayClock.heard(clock.now() + 5_000 - 300)
    expect(relayClock.isDue).toBe(false)
    clock.jumpWallTo(clock.now() + jumpMs)
    const offsetMs = 5_000 - jumpMs
    relayClock.heard(clock.now() + offsetMs)
    expect(relayClock.isDue).toBe(true)
    exchange(clock, relayClock, offsetMs, 400, 200)
    expect(Math.abs(relayClock.offsetMs! - offsetMs)).toBeLessThanOrEqual(relayClock.errorMs! + 1)
    expect(relayClock.isDue).toBe(false)
  }
})

test('[CLK-3] it is asked soon while little is known, seldom later, and old answers fade', () => {
  const clock = new HandClock()
  const relayClock = new RelayClock(clock)
  expect(relayClock.isDue).toBe(true)
  expect(relayClock.offsetMs).toBeUndefined()
  for (let round = 0; round < 4; round++) {
    exchange(clock, relayClock, 0, 5, 5)
    clock.advance(9_000)
    expect(relayClock.isDue).toBe(false)
    clock.advance(1_500)
  }
  expect(relayClock.isDue).toBe(false)
  const before = relayClock.errorMs!
  clock.advance(3_600_000)
  expect(relayClock.isDue).toBe(true)
  expect(relayClock.errorMs).toBeGreaterThan(before + 300)
})

test('[CLK-4] the status and ottla.now() tell the time of the relay', async () => {
  const anHour = 3_600_000
  const clock = { ...systemClock, now: () => Date.now() + anHour }
  const relay = await createRelay({ files: new MemoryFiles(), clock, config: { dataDir: 'data', httpPort: 0 } })
  const ottla = await connect(relay.websocket.url)
  await eventually(() => ottla.status.clockOffsetMs !== null)
  const { clockOffsetMs, clockErrorMs } = ottla.status
  expect(Math.abs(clockOffsetMs! - anHour)).toBeLessThanOrEqual(clockErrorMs! + 2)
  expect(Math.abs(ottla.now() - clock.now())).toBeLessThanOrEqual(clockErrorMs! + 50)
  await ottla.close()
  await relay.close()
})
