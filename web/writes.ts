/**
 * The writes made during this visit and how far each has come: leaving the page, on this device, in the log.
 *
 * Bounded: the oldest finished ones go first. What matters for safety is in the outbox, not here.
 */
import type { ErrorInfo } from '../client/errors.ts'
import { errorInfo } from './errors.ts'
import { type Signal, signal } from './signal.ts'
import type { Source, WriteInput } from './source.ts'

const KEPT = 100

export interface Write extends WriteInput {
  number: number
  startedAtMs: number
  stage: 'storing' | 'stored' | 'committed' | 'failed'
  /** 'memory' means that a reload would lose it. */
  durability: 'device' | 'memory' | null
  at: { partition: number; offset: number } | null
  storedAfterMs: number | null
  committedAfterMs: number | null
  error: ErrorInfo | null
}

export interface Writes {
  /** Newest first. */
  list: Signal<readonly Write[]>
  send(input: WriteInput): void
}

export function createWrites(source: Source): Writes {
  const list = signal<readonly Write[]>([])
  let made = 0
  const change = (number: number, part: Partial<Write>) =>
    list.update((all) => all.map((write) => (write.number === number ? { ...write, ...part } : write)))

  return {
    list,
    send(input) {
      const number = ++made
      const startedAt = performance.now()
      const elapsed = () => performance.now() - startedAt
      list.update((all) => [beginning(input, number), ...all].slice(0, KEPT))
      const { stored, committed } = source.write(input)
      stored.then(
        (durability) => change(number, { stage: 'stored', durability, storedAfterMs: elapsed() }),
        (error: unknown) => change(number, { stage: 'failed', error: errorInfo(error) }),
      )
      committed.then(
        (at) => change(number, { stage: 'committed', at, committedAfterMs: elapsed() }),
        (error: unknown) => change(number, { stage: 'failed', error: errorInfo(error) }),
      )
    },
  }
}

function beginning(input: WriteInput, number: number): Write {
  return {
    ...input,
    number,
    startedAtMs: Date.now(),
    stage: 'storing',
    durability: null,
    at: null,
    storedAfterMs: null,
    committedAfterMs: null,
    error: null,
  }
}
