/**
 * How CodeMirror looks. Its styles go into the shadow root that it lives in, as sheets made by script: the relay's policy allows
 * no style elements. Custom properties come in from styles.css.
 */
import { EditorView } from '@codemirror/view'
import { COLOURS } from './cursors.ts'

const colours = Object.fromEntries(
  Array.from({ length: COLOURS }, (_, at) => [`.colour-${at}`, { '--colour': `var(--colour-${at})` }]),
)

export const theme = EditorView.theme({
  '&': { minHeight: '50vh' },
  '&.cm-focused': { outline: 'none' },
  '.cm-content': {
    padding: '1rem 0.6rem',
    caretColor: 'var(--ink)',
    fontFamily: 'Georgia, "Noto Serif", "Liberation Serif", serif',
    fontSize: '1.1rem',
    lineHeight: '1.7',
  },
  '.cm-placeholder': { color: 'var(--soft)' },
  ...colours,
  '.selection': { background: 'color-mix(in srgb, var(--colour) var(--tint), transparent)' },
  '.caret': { position: 'relative', margin: '0 -1px', borderLeft: '2px solid var(--colour)' },
  '.caret-name': {
    position: 'absolute',
    bottom: '1.25em',
    left: '-2px',
    padding: '0 0.4em',
    borderRadius: '4px 4px 4px 0',
    background: 'var(--colour)',
    color: '#fff',
    font: '600 0.7rem / 1.5 system-ui, sans-serif',
    whiteSpace: 'nowrap',
    pointerEvents: 'none',
  },
})
