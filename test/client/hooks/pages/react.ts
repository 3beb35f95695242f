import * as React from 'react'
import { createRoot } from 'react-dom/client'
import { open, root } from './open.ts'
import { viewOf } from './react-view.ts'

const { ottla, opened } = await open()
let select: (prefix: string) => void = () => {}
const View = viewOf(React, ottla, (chosen) => {
  select = chosen
})
const tree = createRoot(root())
// Strict: effects run, end and run again, as they do when a screen is kept and shown again.
tree.render(React.createElement(React.StrictMode, null, React.createElement(View)))
window.page = { ottla, opened, select: (prefix) => select(prefix), unmount: () => tree.unmount() }
