import { expect, test } from 'vitest'
import { airportsJson } from '../../web/build/airports-plugin.ts'
import { readAirports } from '../../web/live/airports.ts'
import { FRAME_HEIGHT, project } from '../../web/live/projection.ts'

const airports = readAirports(JSON.parse(airportsJson()))

test('every airport of the demo lies within the frame', () => {
  const outside: string[] = []
  for (let i = 0; i < airports.namedCount; i++) {
    const x = airports.frame[i * 2]!
    const y = airports.frame[i * 2 + 1]!
    if (Number.isNaN(x)) continue
    if (x < 0 || x > 1 || y < 0 || y > FRAME_HEIGHT) outside.push(airports.code(i))
  }
  expect(outside).toEqual([])
})

test('west is left of east, north above south, in the country and within Alaska', () => {
  const [seattle, miami, boston] = [project(-122.3, 47.4)!, project(-80.3, 25.8)!, project(-71, 42.4)!]
  expect(seattle.x).toBeLessThan(boston.x)
  expect(boston.y).toBeLessThan(miami.y)
  expect(project(-150, 61.2)!.y).toBeLessThan(project(-134.6, 58.4)!.y)
  expect(project(144.8, 13.5)).toBeNull()
})

test('a place with a comma or a quote in its name keeps its coordinates', () => {
  const index = airports.indexOf('BTR')
  expect(airports.place(index)).toBe('Baton Rouge, LA')
  expect(airports.frame[index * 2]).toBeCloseTo(project(-91.15, 30.53)!.x, 2)
  expect(airports.indexOf('PUW')).toBeGreaterThan(0)
})
