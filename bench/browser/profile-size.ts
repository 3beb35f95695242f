/** What sites have stored in a profile, by the lengths of the files: blocks are given out only when the disk is written to, later. */
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Where the engines keep databases and private files of origins; the rest of a profile comes and goes by itself. */
const OF_ORIGINS = /(^|\/)(IndexedDB|File System|storage|databases)\//

export function bytesStored(profile: string): number {
  const names = readdirSync(profile, { recursive: true, encoding: 'utf8' }).filter((name) => OF_ORIGINS.test(name))
  return names.reduce((sum, name) => {
    const stat = lstatSync(join(profile, name), { throwIfNoEntry: false })
    return sum + (stat?.isFile() ? stat.size : 0)
  }, 0)
}
