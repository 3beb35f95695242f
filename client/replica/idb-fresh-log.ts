/**
 * Chromium keeps IndexedDB in LevelDB, whose log ends in the middle of an entry when the browser is killed while it writes.
 * The next start goes on writing behind that end. The one after it takes the log for damaged there, and Chromium deletes all
 * databases of the origin: unsent writes with them, stored ones too. (Of 20 kills while rows were written, 3 left such an
 * end.)
 *
 * So a start has LevelDB begin a new log before it writes. Deleting a database does that, and takes no room: its range is
 * compacted, for which LevelDB first moves what is in the log into a table. It happens beside the call, which ends a
 * moment sooner or later; and a write at that very moment (another page's) can swallow it, once in 600 times, so there
 * are two.
 */
import { deleteDB, openDB } from 'idb'
import { type Clock, sleep } from '../../protocol/lib/clock.ts'
import { isChromium } from '../is-chromium.ts'

const NAME = 'ottla-log'
const ROUNDS = 2
/** A page that was frozen with the database open would hold up the others for ever. */
const WAIT_MS_MAX = 1_000

/** Never rejects: what is wrong with the databases of this origin, the next unit finds too. */
export async function beginFreshLog(clock: Clock): Promise<void> {
  if (isChromium()) await Promise.race([deleteAnother().catch(() => {}), sleep(clock, WAIT_MS_MAX)])
}

async function deleteAnother(): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const database = await openDB(NAME, 1)
    database.close()
    await deleteDB(NAME)
  }
}
