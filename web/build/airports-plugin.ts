/**
 * Turns the airports table of the demo data set into one small asset and gives the page its address.
 *
 * `import url from 'virtual:airports-url'` -> a JSON file { codes, cities, states, points }:
 * `points` holds [longitude, latitude] in hundredths of a degree, flat; the first `codes.length` points
 * are named airports (three-letter codes), the rest are airfields that only help to draw the country.
 * Made at build time so that the table stays a development dependency and no copy of it is kept here.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Plugin } from 'vite'

const VIRTUAL_ID = 'virtual:airports-url'

interface Airfield {
  code: string
  city: string
  state: string
  longitude: number
  latitude: number
}

export function airportsPlugin(): Plugin {
  let reference = ''
  return {
    name: 'ottla-airports',
    resolveId: (id) => (id === VIRTUAL_ID ? `\0${VIRTUAL_ID}` : null),
    load(id) {
      if (id !== `\0${VIRTUAL_ID}`) return null
      reference = this.emitFile({ type: 'asset', name: 'airports.json', source: airportsJson() })
      return `export default import.meta.ROLLUP_FILE_URL_${reference}`
    },
  }
}

export function airportsJson(): string {
  // The package exports only its entry, build/index.js; the tables lie beside that folder.
  const entry = createRequire(import.meta.url).resolve('vega-datasets')
  const fields = readFileSync(join(dirname(entry), '../data/airports.csv'), 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map(readAirfield)
  const named = fields.filter((field) => /^[A-Z]{3}$/.test(field.code))
  const unnamed = fields.filter((field) => !/^[A-Z]{3}$/.test(field.code))
  const points = [...named, ...unnamed].flatMap((field) => [
    Math.round(field.longitude * 100),
    Math.round(field.latitude * 100),
  ])
  return JSON.stringify({
    codes: named.map((field) => field.code).join(' '),
    cities: named.map((field) => field.city).join('|'),
    states: named.map((field) => field.state).join('|'),
    points,
  })
}

function readAirfield(line: string): Airfield {
  const cells = line.trim().match(/"[^"]*"|[^,]+|(?<=,)(?=,)/g) ?? []
  const [code = '', , city = '', state = ''] = cells.map((cell) => cell.replaceAll('"', '').replaceAll('|', ' '))
  return { code, city, state, latitude: Number(cells.at(-2)), longitude: Number(cells.at(-1)) }
}
