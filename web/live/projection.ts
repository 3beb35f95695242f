/**
 * The United States on one flat picture: Albers' equal-area conic (Snyder, USGS Professional Paper 1395, 1987,
 * chapter 14) with Alaska, Hawaii and the Caribbean moved into the corners.
 *
 * Output is in a fixed frame, x 0..1 and y 0..FRAME_HEIGHT, y downwards; the painter scales it.
 */
export const FRAME_HEIGHT = 0.62

export interface Point {
  x: number
  y: number
}

type Projection = (longitude: number, latitude: number) => Point

const lower48 = albers({ parallels: [29.5, 45.5], center: [-96, 37.6], scale: 1.19, at: { x: 0.515, y: 0.3 } })
const alaska = albers({ parallels: [55, 65], center: [-154, 62], scale: 0.42, at: { x: 0.135, y: 0.525 } })
const hawaii = albers({ parallels: [8, 18], center: [-157.4, 20.6], scale: 1.1, at: { x: 0.315, y: 0.57 } })
const caribbean = albers({ parallels: [8, 18], center: [-66.2, 18.2], scale: 1.1, at: { x: 0.93, y: 0.58 } })

/** Where a place lies in the frame, or null for places that none of the four maps shows. */
export function project(longitude: number, latitude: number): Point | null {
  const map = mapFor(longitude, latitude)
  return map ? map(longitude, latitude) : null
}

function mapFor(longitude: number, latitude: number): Projection | null {
  if (longitude > 0 || latitude < 15) return null
  if (latitude > 50 && longitude < -128) return alaska
  if (longitude < -150) return hawaii
  if (latitude < 20 && longitude > -70) return caribbean
  return longitude < -60 && latitude > 23 ? lower48 : null
}

interface Albers {
  parallels: [number, number]
  center: [number, number]
  scale: number
  at: Point
}

function albers({ parallels, center, scale, at }: Albers): Projection {
  const sinSouth = Math.sin(radians(parallels[0]))
  const n = (sinSouth + Math.sin(radians(parallels[1]))) / 2
  const c = Math.cos(radians(parallels[0])) ** 2 + 2 * n * sinSouth
  const rho = (latitude: number) => Math.sqrt(c - 2 * n * Math.sin(radians(latitude))) / n
  const rhoCenter = rho(center[1])
  return (longitude, latitude) => {
    const theta = n * radians(longitude - center[0])
    const r = rho(latitude)
    return { x: at.x + scale * r * Math.sin(theta), y: at.y - scale * (rhoCenter - r * Math.cos(theta)) }
  }
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180
}
