/** The engines that pages are measured in, as the report names them. */
import type { EngineName } from '../../test/browsers/engine/recipes.ts'

export interface Engine {
  name: EngineName
  title: string
  /** Of raw IndexedDB's speed, how much a sync is to reach: at the edge of what others do with the same database. */
  shareOfRaw: number
  /** The origin private file system, which SQLite needs to be fast. */
  hasOpfs: boolean
  /** A sync that is larger than memory may be. */
  longSync: { records: number; title: string }
}

const GIB = { records: 10_000_000, title: '1 GiB' }
/** An origin is given 1,000 MiB there, and nobody to ask for more. */
const MOST_OF_A_GIB = { records: 7_000_000, title: '730 MiB' }

export const ENGINES: readonly Engine[] = [
  { name: 'chromium', title: 'Chromium', shareOfRaw: 0.8, hasOpfs: true, longSync: GIB },
  { name: 'firefox', title: 'Firefox', shareOfRaw: 0.7, hasOpfs: true, longSync: GIB },
  { name: 'webkit', title: 'WebKitGTK', shareOfRaw: 0.7, hasOpfs: false, longSync: MOST_OF_A_GIB },
]
