/**
 * The airports the picture is drawn from: named ones can be looked up by code, the others only dot the land.
 *
 * Index `i` of a named airport is its index in every array here; `frame` holds x, y pairs of the projection.
 */
import { project } from './projection.ts'

export interface Airports {
  /** x, y pairs in the frame, of every place that the map shows; NaN where it shows none. */
  frame: Float32Array
  namedCount: number
  totalCount: number
  indexOf(code: string): number
  code(index: number): string
  /** "Denver, CO" */
  place(index: number): string
}

interface AirportsFile {
  codes: string
  cities: string
  states: string
  points: number[]
}

export async function loadAirports(url: string): Promise<Airports> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`the table of airports answered ${response.status}; reload the page`)
  return readAirports((await response.json()) as AirportsFile)
}

export function readAirports(file: AirportsFile): Airports {
  const codes = file.codes.split(' ')
  const cities = file.cities.split('|')
  const states = file.states.split('|')
  const byCode = new Map(codes.map((code, index) => [code, index]))
  return {
    frame: projectAll(file.points),
    namedCount: codes.length,
    totalCount: file.points.length / 2,
    indexOf: (code) => byCode.get(code) ?? -1,
    code: (index) => codes[index] ?? '?',
    place: (index) => [cities[index], states[index]].filter((part) => part && part !== 'NA').join(', '),
  }
}

function projectAll(points: number[]): Float32Array {
  const frame = new Float32Array(points.length).fill(Number.NaN)
  for (let i = 0; i < points.length; i += 2) {
    const point = project((points[i] ?? 0) / 100, (points[i + 1] ?? 0) / 100)
    if (!point) continue
    frame[i] = point.x
    frame[i + 1] = point.y
  }
  return frame
}
