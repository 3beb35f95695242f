/**
 * Element helpers: one function to build, one to fill, one to listen.
 *
 * No markup is ever parsed from strings, so record contents cannot become elements, and no style
 * attribute is written, so the page runs under `style-src 'self'`.
 */
export type Child = Node | string | number | null | undefined | false
type Listener = (event: never) => void

/** Attributes by name; `on…` functions become listeners; `class` and `data-…` as in HTML; false or null leaves it out. */
export type Props = Record<string, string | number | boolean | null | undefined | Listener>

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  applyProps(element, props)
  append(element, children)
  return element
}

/** The same for SVG. */
export function svg(tag: string, props: Props = {}, ...children: Child[]): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  applyProps(element, props)
  append(element, children)
  return element
}

export function fill(parent: Element, ...children: Child[]): void {
  parent.replaceChildren()
  append(parent, children)
}

/** Fills anew without losing the keyboard's place: focus returns to the element with the same `data-key`. */
export function refill(parent: Element, ...children: Child[]): void {
  const focused = document.activeElement
  const key = focused && parent.contains(focused) ? focused.getAttribute('data-key') : null
  fill(parent, ...children)
  if (key !== null) parent.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus()
}

/** Sets text only when it differs: cheap enough to call on every frame. */
export function setText(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text
}

/** Listens until the signal fires; every view gets one signal for its lifetime. */
export function listen<K extends keyof WindowEventMap>(
  target: EventTarget,
  type: K,
  listener: (event: WindowEventMap[K]) => void,
  signal: AbortSignal,
): void {
  target.addEventListener(type, listener as EventListener, { signal })
}

function applyProps(element: Element, props: Props): void {
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as unknown as EventListener)
    else element.setAttribute(name, value === true ? '' : String(value))
  }
}

function append(parent: Element, children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue
    parent.append(typeof child === 'number' ? String(child) : child)
  }
}
