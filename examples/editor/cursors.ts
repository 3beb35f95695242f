/**
 * The cursors and selections of others, and ours for them, by awareness. The fields are those of y-codemirror (`user`, `cursor`
 * with relative positions), so editors that use it show ours and are shown here. Colours are classes: the relay's policy allows
 * no inline styles.
 */
import { Annotation, type Range, RangeSet } from '@codemirror/state'
import {
  Decoration,
  type DecorationSet,
  type EditorView,
  ViewPlugin,
  type ViewUpdate,
  WidgetType,
} from '@codemirror/view'
import type { Awareness } from 'y-protocols/awareness'
import {
  createAbsolutePositionFromRelativePosition,
  createRelativePositionFromJSON,
  createRelativePositionFromTypeIndex,
  type Text,
} from 'yjs'

export const COLOURS = 6

export const colourOf = (client: number): number => client % COLOURS

const othersMoved = Annotation.define<true>()

export function cursors(text: Text, awareness: Awareness) {
  return ViewPlugin.define((view) => new Cursors(view, text, awareness), {
    decorations: (cursors) => cursors.decorations,
  })
}

class Cursors {
  decorations: DecorationSet = RangeSet.empty
  readonly #view: EditorView
  readonly #text: Text
  readonly #awareness: Awareness
  readonly #changed: (change: { added: number[]; updated: number[]; removed: number[] }) => void

  constructor(view: EditorView, text: Text, awareness: Awareness) {
    this.#view = view
    this.#text = text
    this.#awareness = awareness
    this.#changed = ({ added, updated, removed }) => {
      if ([...added, ...updated, ...removed].every((client) => client === awareness.clientID)) return
      // A change of awareness may come while the view is being updated.
      queueMicrotask(() => this.#view.dispatch({ annotations: othersMoved.of(true) }))
    }
    awareness.on('change', this.#changed)
  }

  update(update: ViewUpdate): void {
    if (update.selectionSet || update.focusChanged || update.docChanged) this.#tellOwn(update)
    this.decorations = this.#drawn(update.state.doc.length)
  }

  destroy(): void {
    this.#awareness.off('change', this.#changed)
  }

  #tellOwn({ state, view }: ViewUpdate): void {
    const { anchor, head } = state.selection.main
    const at = (index: number) => createRelativePositionFromTypeIndex(this.#text, index)
    const isThere = view.hasFocus && this.#text.length === state.doc.length
    const cursor = isThere ? { anchor: at(anchor), head: at(head) } : null
    const before = this.#awareness.getLocalState()?.cursor ?? null
    if (JSON.stringify(before) !== JSON.stringify(cursor)) this.#awareness.setLocalStateField('cursor', cursor)
  }

  #drawn(length: number): DecorationSet {
    const ranges: Array<Range<Decoration>> = []
    for (const [client, state] of this.#awareness.getStates()) {
      if (client === this.#awareness.clientID) continue
      const [anchor, head] = [this.#index(state.cursor?.anchor), this.#index(state.cursor?.head)]
      if (anchor === undefined || head === undefined || Math.max(anchor, head) > length) continue
      const [from, to] = [Math.min(anchor, head), Math.max(anchor, head)]
      const colour = colourOf(client)
      if (from < to) ranges.push(Decoration.mark({ class: `selection colour-${colour}` }).range(from, to))
      const widget = new Caret(nameOf(state), colour)
      ranges.push(Decoration.widget({ widget, side: head > anchor ? -1 : 1 }).range(head))
    }
    return Decoration.set(ranges, true)
  }

  /** What others say may make no sense. */
  #index(position: unknown): number | undefined {
    try {
      const found = createAbsolutePositionFromRelativePosition(
        createRelativePositionFromJSON(position),
        this.#text.doc!,
      )
      return found?.type === this.#text ? found.index : undefined
    } catch {
      return undefined
    }
  }
}

export const nameOf = (state: { user?: { name?: unknown } }): string =>
  String(state.user?.name ?? 'Somebody').slice(0, 40)

class Caret extends WidgetType {
  readonly #name: string
  readonly #colour: number

  constructor(name: string, colour: number) {
    super()
    this.#name = name
    this.#colour = colour
  }

  override eq(other: Caret): boolean {
    return other.#name === this.#name && other.#colour === this.#colour
  }

  toDOM(): HTMLElement {
    const caret = document.createElement('span')
    caret.className = `caret colour-${this.#colour}`
    const name = document.createElement('span')
    name.className = 'caret-name'
    name.textContent = this.#name
    caret.append(name)
    caret.setAttribute('aria-hidden', 'true')
    return caret
  }

  override ignoreEvent(): boolean {
    return true
  }
}
