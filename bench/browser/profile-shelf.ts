/** Profiles that take long to fill: filled once in a scenario, and copied for each run. */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import type { Trial } from '../harness/scenario.ts'

export class ProfileShelf {
  #folder: string | undefined
  readonly #filled = new Map<string, Promise<string>>()

  /** With the scenario's own folder, which lasts for all its runs. */
  open({ directory }: Trial): void {
    this.#folder = directory
    this.#filled.clear()
  }

  /** A copy in the run's folder. `fill` is given the folder of a profile that does not exist yet. */
  async copyOf(name: string, trial: Trial, fill: (profile: string) => Promise<unknown>): Promise<string> {
    let filled = this.#filled.get(name)
    if (!filled) {
      if (this.#folder === undefined) throw new Error('the scenario was not prepared')
      const profile = join(this.#folder, `profile-${this.#filled.size}`)
      filled = fill(profile).then(() => profile)
      this.#filled.set(name, filled)
    }
    const copy = join(trial.directory, 'profile')
    cpSync(await filled, copy, { recursive: true, verbatimSymlinks: true, filter: isNoSocket })
    return copy
  }
}

/** What a browser leaves behind to find itself again is of no use to another. */
const isNoSocket = (path: string): boolean => !/\/(Singleton\w+|lock|\.parentlock)$/.test(path)
