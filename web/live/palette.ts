/** The colours a canvas needs, read from the style sheet so that both themes are told in one place. */
import { DELAY_CLASSES } from './flight.ts'

export interface Palette {
  land: string
  ink: string
  inkSoft: string
  accent: string
  delays: string[]
}

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element)
  const value = (name: string) => style.getPropertyValue(name).trim()
  return {
    land: value('--map-land'),
    ink: value('--ink'),
    inkSoft: value('--ink-soft'),
    accent: value('--accent'),
    delays: DELAY_CLASSES.map((_, index) => value(`--delay-${index}`)),
  }
}
