/**
 * The demo's data: 3,000,000 flights within the United States, January to June 2001, in order of departure.
 *
 * They come from the `vega-datasets` package (data/flights-3m.parquet), which took them from the on-time reports
 * that airlines must send to the U.S. Bureau of Transportation Statistics; a public record of the U.S. government.
 * Rows are decoded one row group (about 270,000) at a time: the whole would be 800 MB of objects.
 */

import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decompress } from 'fzstd'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'

export interface Flight {
  /** Scheduled departure, local time, `2001-01-31 06:05`. */
  date: string
  /** Minutes late at arrival; negative is early. */
  delay: number
  /** Miles. */
  distance: number
  /** Airports by their three letters. */
  origin: string
  destination: string
}

export interface FlightAt {
  flight: Flight
  /** Position in the data set, from 0. */
  row: number
  /** Scheduled departure in ms, read as UTC; only differences mean something. */
  atMs: number
}

export interface FlightSource {
  count: number
  /** Midnight before the first flight, in the terms of `FlightAt.atMs`. */
  beginsMs: number
  /** In order of departure, from this row on. */
  from(row: number): AsyncIterable<FlightAt>
}

interface RawFlight {
  date: Date
  delay: bigint
  distance: bigint
  origin: string
  destination: string
}

/** @throws when the package is not installed; the message says how to get it. */
export async function openFlights(path = datasetPath()): Promise<FlightSource> {
  const file = await asyncBufferFromFile(path).catch((cause: unknown) => {
    throw new Error(`${path} cannot be read; run npm ci to install the demo's data`, { cause })
  })
  const metadata = await parquetMetadataAsync(file)
  const compressors = { ZSTD: (input: Uint8Array, sizeBytes: number) => decompress(input, new Uint8Array(sizeBytes)) }

  async function* from(row: number): AsyncIterable<FlightAt> {
    let groupStart = 0
    for (const group of metadata.row_groups) {
      const groupEnd = groupStart + Number(group.num_rows)
      if (groupEnd > row) {
        const rowStart = Math.max(row, groupStart)
        const rows = await parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd: groupEnd })
        for (const [index, raw] of rows.entries()) yield flightAt(raw as unknown as RawFlight, rowStart + index)
      }
      groupStart = groupEnd
    }
  }
  return { count: Number(metadata.num_rows), beginsMs: Date.UTC(2001, 0, 1), from }
}

function flightAt(raw: RawFlight, row: number): FlightAt {
  const flight = {
    date: raw.date.toISOString().slice(0, 16).replace('T', ' '),
    delay: Number(raw.delay),
    distance: Number(raw.distance),
    origin: raw.origin,
    destination: raw.destination,
  }
  return { flight, row, atMs: raw.date.getTime() }
}

/** The package exports no data files, so its folder is found by its module. */
function datasetPath(): string {
  const module = fileURLToPath(import.meta.resolve('vega-datasets'))
  return join(dirname(module), '..', 'data', 'flights-3m.parquet')
}
