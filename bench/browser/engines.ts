/** The engines that pages are measured in, as the report names them. */
import type { EngineName } from '../../test/browsers/engine/recipes.ts'

export interface Engine {
  name: EngineName
  title: string
  /** Of raw IndexedDB's speed, how much a sync is to reach: at the edge of what others do with the same database. */
  shareOfRaw: number
  /** The origin private file system, which SQLite needs to be fast. */
  hasOpfs: boolean
}

export const ENGINES: readonly Engine[] = [
  { name: 'chromium', title: 'Chromium', shareOfRaw: 0.8, hasOpfs: true },
  { name: 'firefox', title: 'Firefox', shareOfRaw: 0.7, hasOpfs: true },
  { name: 'webkit', title: 'WebKitGTK', shareOfRaw: 0.7, hasOpfs: false },
]
