/** The colours of the style sheet against WCAG 2.2, 1.4.3 (text) and 1.4.11 (marks). */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const css = readFileSync(new URL('../../web/styles/tokens.css', import.meta.url), 'utf8')
const [lightCss = '', darkCss = ''] = css.split('@media')

function colours(part: string): Map<string, string> {
  return new Map([...part.matchAll(/--([\w-]+): (#[0-9a-f]{6})/g)].map((match) => [match[1]!, match[2]!]))
}

function luminance(hex: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const share = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!
}

function contrast(one: string, other: string): number {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (high! + 0.05) / (low! + 0.05)
}

for (const [theme, part] of [
  ['light', lightCss],
  ['dark', darkCss],
] as const) {
  const colour = colours(part)
  const grounds = ['paper', 'sheet', 'sheet-high']

  test(`text is readable on every ground, ${theme}`, () => {
    const poor = ['ink', 'ink-soft', 'accent', 'good', 'warn', 'bad'].flatMap((text) =>
      grounds.filter((ground) => contrast(colour.get(text)!, colour.get(ground)!) < 4.5).map((each) => [text, each]),
    )
    expect(poor).toEqual([])
    expect(contrast(colour.get('accent-ink')!, colour.get('accent')!)).toBeGreaterThan(4.5)
  })

  test(`the colours of delays stand out from the ground, ${theme}`, () => {
    const ratios = [0, 1, 2, 3].map((each) => contrast(colour.get(`delay-${each}`)!, colour.get('paper')!))
    for (const ratio of ratios) expect(ratio).toBeGreaterThan(3)
  })
}
