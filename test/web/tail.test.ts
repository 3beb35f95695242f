import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { LogRecord } from '../../web/source.ts'
import { createTail } from '../../web/tail.ts'

const frames: (() => void)[] = []

beforeEach(() => {
  frames.length = 0
  vi.stubGlobal('requestAnimationFrame', (run: () => void) => frames.push(run))
})
afterEach(() => vi.unstubAllGlobals())

function batch(size: number): LogRecord[] {
  return Array.from({ length: size }, (_, offset) => ({
    topic: 't',
    partition: 0,
    offset,
    timestampMs: 0,
    key: null,
    value: null,
    headers: [],
  }))
}

async function* batches(...sizes: number[]) {
  for (const size of sizes) yield batch(size)
}

const nextFrame = () => frames.splice(0).forEach((run) => void run())

test('many batches between two frames reach the list as one', async () => {
  const given: number[] = []
  await createTail((records) => given.push(records.length)).run(batches(10, 20, 30))
  nextFrame()
  expect(given).toEqual([60])
})

test('while paused nothing is shown but all is counted, and going on shows it', async () => {
  const given: number[] = []
  const tail = createTail((records) => given.push(records.length))
  tail.setPaused(true)
  await tail.run(batches(5, 6))
  nextFrame()
  expect([given, tail.waiting]).toEqual([[], 11])
  tail.setPaused(false)
  nextFrame()
  expect([given, tail.waiting]).toEqual([[11], 0])
})

test('a pause longer than the list can hold lets the oldest go and says how many', async () => {
  const tail = createTail(() => {})
  tail.setPaused(true)
  await tail.run(batches(15_000, 15_000))
  expect([tail.waiting, tail.missed]).toEqual([20_000, 10_000])
})

test('the rate forgets what is older than its window', async () => {
  let nowMs = 0
  const tail = createTail(
    () => {},
    () => nowMs,
  )
  await tail.run(batches(300))
  expect(tail.rate()).toBe(100)
  nowMs = 3001
  expect(tail.rate()).toBe(0)
})
