/** What each test file has shown when it last ran whole and passed, kept so that the files need not run in one go. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Compatibility } from './compatibility.ts'

export class ShownFiles {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  keep(testFile: string, shown: readonly Compatibility[]): void {
    const path = this.#pathOf(testFile)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, `${JSON.stringify(shown, null, 1)}\n`)
  }

  /** It has failed since: what it showed before may not hold any more. */
  forget(testFile: string): void {
    rmSync(this.#pathOf(testFile), { force: true })
  }

  /** All that these files have shown, and those of which nothing is known. */
  of(testFiles: readonly string[]): { shown: Compatibility[]; missing: string[] } {
    const missing = testFiles.filter((each) => !existsSync(this.#pathOf(each)))
    const known = testFiles.filter((each) => !missing.includes(each))
    const shown = known.flatMap((each) => JSON.parse(readFileSync(this.#pathOf(each), 'utf8')) as Compatibility[])
    return { shown, missing }
  }

  #pathOf(testFile: string): string {
    return join(this.#folder, `${testFile.replaceAll('/', '.')}.json`)
  }
}
