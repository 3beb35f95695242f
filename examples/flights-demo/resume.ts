/**
 * Finds where a replay stopped, from the log alone.
 *
 * Every record carries its row in a header. Rows are sent in order and never more than WINDOW rows are
 * unacknowledged, so below the highest row found minus WINDOW everything is in the log; which of the rows above are
 * there is read from the ends of the partitions. Works whatever the number of partitions, after a kill at any
 * moment, and with foreign records in between. No file of its own to disagree with the log.
 */

import { bytes, type Ottla } from '../../client/node.ts'

export const ROW_HEADER = 'row'

/** Most rows that may be on their way at a time. */
export const WINDOW = 4096

export interface ResumePoint {
  /** The first row to look at. */
  row: number
  /** Rows from there on that are in the log already. */
  present: ReadonlySet<number>
}

export async function findResumePoint(ottla: Ottla, topic: string, partitionCount: number): Promise<ResumePoint> {
  const partitions = Array.from({ length: partitionCount }, (_, partition) => partition)
  const tails = await Promise.all(partitions.map((partition) => lastRows(ottla, topic, partition, WINDOW)))
  const highest = Math.max(-1, ...tails.flatMap((tail) => tail.rows))
  if (highest < 0) return { row: 0, present: new Set() }

  const row = Math.max(0, highest - WINDOW)
  const present = new Set<number>()
  for (const [partition, tail] of tails.entries()) {
    const rows = await rowsDownTo(ottla, topic, partition, row, tail)
    for (const each of rows) if (each >= row) present.add(each)
  }
  return { row, present }
}

interface Tail {
  rows: number[]
  /** Nothing lies before these records. */
  whole: boolean
}

/** Reads further back until a row below `row` shows that nothing is missed. */
async function rowsDownTo(ottla: Ottla, topic: string, partition: number, row: number, tail: Tail): Promise<number[]> {
  let known = tail
  for (let count = WINDOW * 2; !known.whole && !known.rows.some((each) => each < row); count *= 2) {
    known = await lastRows(ottla, topic, partition, count)
  }
  return known.rows
}

async function lastRows(ottla: Ottla, topic: string, partition: number, count: number): Promise<Tail> {
  const reader = ottla
    .topic(topic, { key: bytes, value: bytes })
    .read({ from: { last: count }, partitions: [partition], follow: false })
  const rows: number[] = []
  let seen = 0
  for await (const record of reader) {
    seen++
    const header = record.headers.find(({ key }) => key === ROW_HEADER)?.value
    const row = header ? Number(new TextDecoder().decode(header)) : Number.NaN
    if (Number.isSafeInteger(row)) rows.push(row)
  }
  return { rows, whole: seen < count }
}
