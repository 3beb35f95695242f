/** What writers in pages were told, and what the log holds in the end, as a history for the checker. */
import { check, type Report } from '../checker/check.ts'
import type { Operation, Send } from '../checker/history.ts'
import { storedRecords } from '../support/stored-records.ts'
import { recordOf, type TrafficNote } from './fixtures/traffic.ts'

const TOPIC = 'traffic'

interface Heard {
  stored: Set<number>
  placed: Map<number, { partition: number; offset: number }>
}

export class TrafficJournal {
  readonly #writers = new Map<string, Heard>()
  /** Refusals that nobody should get. */
  readonly complaints: string[] = []
  stored = 0
  committed = 0

  note(note: TrafficNote): void {
    const { stored, placed } = this.#heardBy(note.writer)
    if ('stored' in note) {
      stored.add(note.stored)
      this.stored++
    } else if ('committed' in note) {
      placed.set(note.committed, note)
      this.committed++
    } else this.complaints.push(`${note.writer}/${note.refused}: ${note.code}`)
  }

  /** How many of a writer's records are known to be stored. */
  storedBy(writer: string): number {
    return this.#writers.get(writer)?.stored.size ?? 0
  }

  committedBy(writer: string): number {
    return this.#writers.get(writer)?.placed.size ?? 0
  }

  /** When everything is drained: what the log has, by partition, and what the checker says of it. */
  async judge(url: string, topicId: string, partitions: number): Promise<{ report: Report; log: string[][] }> {
    const log: string[][] = []
    const reads: Operation[] = []
    for (let partition = 0; partition < partitions; partition++) {
      const records = await storedRecords(url, topicId, partition)
      log.push(records.map(({ value }) => value))
      reads.push({
        ...{ op: 'read', process: 'the end', reader: `end/${partition}`, topic: TOPIC, topicId, partition },
        ...{ isolation: 1, jump: 'start', from: 0, next: (records.at(-1)?.offset ?? -1) + 1, at: 1, until: 1 },
        records: records.map(({ offset, value }) => [offset, value]),
      })
    }
    const operations = [...this.#sends(topicId, log.flat()), ...reads, { op: 'end', at: 2 } as const]
    return { report: check(operations), log }
  }

  /**
   * A page that dies takes with it what it had not yet said: so a record that is in the log, and below which its writer had
   * come, was sent.
   */
  *#sends(topicId: string, landed: readonly string[]): Generator<Send> {
    const furthest = new Map<string, number>()
    for (const value of landed) {
      const [writer, count] = value.split('/') as [string, string]
      furthest.set(writer, Math.max(furthest.get(writer) ?? -1, Number(count)))
    }
    for (const [writer, { stored, placed }] of this.#writers) {
      const last = Math.max(furthest.get(writer) ?? -1, ...stored)
      for (let count = 0; count <= last; count++) {
        const place = placed.get(count)
        yield {
          ...{ op: 'send', process: writer, producer: writer, topic: TOPIC, topicId, partition: null, acks: -1 },
          ...{ at: 0, until: place ? 0 : null, values: [recordOf(writer, count)], outcome: place ? 'ok' : 'unknown' },
          ...(place && { places: [place] }),
          isStored: stored.has(count),
        }
      }
    }
  }

  #heardBy(writer: string): Heard {
    const heard = this.#writers.get(writer) ?? { stored: new Set(), placed: new Map() }
    this.#writers.set(writer, heard)
    return heard
  }
}
