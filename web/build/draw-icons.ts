/**
 * Draws the PNG icons from icons/icon.svg with a local Chromium: `node web/build/draw-icons.ts` (Node 22.18+) or
 * through any TypeScript runner. Run by hand when the drawing changes; the pictures are kept in the repository.
 *
 * A maskable icon may be cut to a circle of 80 % of its width, so the drawing is shrunk onto a full-bleed ground.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { chromium } from 'playwright-core'

const icons = new URL('../public/icons/', import.meta.url)
const svg = readFileSync(new URL('icon.svg', icons), 'utf8')
const fullBleed = svg.replace('rx="112"', '').replace('viewBox="0 0 512 512"', 'viewBox="-64 -64 640 640"')
const ground = '<rect x="-64" y="-64" width="640" height="640" fill="#0d131c"/>'

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
})
const page = await browser.newPage()
await draw('icon-192.png', 192, svg)
await draw('icon-512.png', 512, svg)
await draw('maskable-512.png', 512, fullBleed.replace(/(<svg[^>]*>)/, `$1${ground}`))
await browser.close()

async function draw(name: string, sizePx: number, markup: string): Promise<void> {
  await page.setViewportSize({ width: sizePx, height: sizePx })
  await page.setContent(`<style>body{margin:0}svg{display:block;width:${sizePx}px}</style>${markup}`)
  writeFileSync(new URL(name, icons), await page.screenshot({ omitBackground: true }))
}
