/**
 * A Kafka client under test, as the scenario sees it. Most are programs that speak one JSON line for each request; those
 * for Node run right here.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { PlainRecord, ReadRecord } from './records.ts'

export interface AdminOutcome {
  retention: string
  altered: string
  partitions: number
  first: number
  last: number
  brokers: number
  clusterId: string
  deleted: boolean
}

export interface Driver {
  version(): Promise<string>
  /** To partition 0. Resolves to the offsets, in the order of the records. */
  produce(address: string, topic: string, codec: string, idempotent: boolean, records: PlainRecord[]): Promise<number[]>
  /** The first `count` records of partition 0, without a group. */
  consume(address: string, topic: string, count: number): Promise<ReadRecord[]>
  /** As a member of `group`: the next `count` records, which are then committed. */
  group(address: string, topic: string, group: string, count: number, protocol: GroupProtocol): Promise<ReadRecord[]>
  /**
   * Makes, describes, alters, grows, cuts and deletes a topic. Waits for `settleMs` before it looks at a change: Kafka's
   * brokers hear of it some time after who made it.
   */
  admin(address: string, topic: string, settleMs: number): Promise<AdminOutcome>
  /** Of three transactions `first` is committed, `never` aborted, and `second` committed with offset 7 of the input. */
  transactions(address: string, topic: string, input: string, group: string): Promise<void>
}

export type GroupProtocol = 'classic' | 'consumer'

export const fromHere = (path: string) => fileURLToPath(new URL(path, import.meta.url))
export const cacheFolder = fromHere('../../../.cache/interop')

/** Runs until the test ends; its stderr is shown when a request fails. */
export function programDriver(command: string, args: readonly string[]): Driver {
  const program = new Program(command, args)
  return {
    version: () => program.ask<string>('version', {}),
    produce: async (address, topic, codec, idempotent, records) =>
      (await program.ask<{ offsets: number[] }>('produce', { address, topic, codec, idempotent, records })).offsets,
    consume: async (address, topic, count) =>
      (await program.ask<{ records: ReadRecord[] }>('consume', { address, topic, count })).records,
    group: async (address, topic, group, count, protocol) =>
      (await program.ask<{ records: ReadRecord[] }>('group', { address, topic, group, count, protocol })).records,
    admin: (address, topic, settleMs) => program.ask<AdminOutcome>('admin', { address, topic, settleMs }),
    transactions: (address, topic, input, group) => program.ask<void>('transactions', { address, topic, input, group }),
  }
}

export const settle = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

class Program {
  readonly #child
  readonly #lines: AsyncIterator<string>
  #stderr = ''

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: 'pipe' })
    this.#child.on('error', (error) => {
      this.#stderr += error.message
    })
    this.#child.stdin.on('error', () => {})
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk).slice(-4000)
    })
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
    onTestFinished(() => {
      this.#child.kill('SIGKILL')
    })
  }

  /** One request at a time. */
  async ask<Result>(operation: string, args: Record<string, unknown>): Promise<Result> {
    this.#child.stdin.write(`${JSON.stringify({ operation, arguments: args })}\n`)
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`the client ended during ${operation}: ${this.#stderr}`)
    const answer = JSON.parse(value) as { result: Result } | { error: string }
    if ('error' in answer) throw new Error(`${operation}: ${answer.error}\n${this.#stderr}`)
    return answer.result
  }
}
