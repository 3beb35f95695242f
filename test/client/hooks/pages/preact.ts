import * as Preact from 'preact/compat'
import { open, root } from './open.ts'
import { viewOf } from './react-view.ts'

const { ottla, opened } = await open()
let select: (prefix: string) => void = () => {}
const View = viewOf(Preact as unknown as Parameters<typeof viewOf>[0], ottla, (chosen) => {
  select = chosen
})
Preact.render(Preact.createElement(View as Preact.FunctionComponent, null), root())
window.page = { ottla, opened, select: (prefix) => select(prefix), unmount: () => Preact.render(null, root()) }
