/** A long history of one text, the same each time: mostly typed on at the cursor, now and then elsewhere, some of it deleted. */
import type { Doc } from 'yjs'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { pause } from './pause.ts'

const WORDS = ['log', 'replica', 'offset', 'tunnel', 'Praha', 'a ', 'the ', 'of ', '. ', ', ']
const PER_TURN = 100

/** Each edit is an update of its own. `between`: called after each hundred, with their number. */
export async function scribble(
  doc: Doc,
  edits: number,
  between: (edits: number) => Promise<void> = () => pause(0),
): Promise<void> {
  const random = seededRandom(100)
  const below = (bound: number) => Math.floor(random.next() * bound)
  const text = doc.getText('t')
  let cursor = 0
  for (let edit = 0; edit < edits; edit++) {
    if (below(20) === 0) cursor = below(text.length + 1)
    if (cursor > 8 && below(6) === 0) {
      const count = 1 + below(6)
      cursor -= count
      text.delete(cursor, count)
    } else {
      const word = WORDS[below(WORDS.length)]!
      text.insert(cursor, word)
      cursor += word.length
    }
    if ((edit + 1) % PER_TURN === 0) await between(edit + 1)
  }
}
