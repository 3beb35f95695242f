/** The client as it is built for pages, by path on a page server. Vitest's global set-up keeps the build fresh. */
import { readdirSync, readFileSync } from 'node:fs'

const built = new URL('../../dist/web/', import.meta.url)

export const clientFiles = (): Record<string, string> =>
  Object.fromEntries(
    readdirSync(built)
      .filter((name) => /\.m?js$/.test(name))
      .map((name) => [`/${name}`, readFileSync(new URL(name, built), 'utf8')]),
  )
