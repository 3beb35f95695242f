/**
 * A list of any length of which only the visible rows exist. Rows have one fixed height (from --row-height).
 *
 * Elements are kept and refilled, so scrolling makes no garbage. When it stands at the end it stays there as rows come.
 */
import { h, listen } from '../dom.ts'

export interface RowSource {
  length: number
  /** Fills the element for this row; the element may have shown another row before. */
  fill(element: HTMLElement, index: number): void
  create(): HTMLElement
}

export interface VirtualRows {
  element: HTMLElement
  /** Says that rows came, went or changed. */
  refresh(): void
  scrollTo(index: number): void
  readonly atEnd: boolean
}

const SPARE_ROWS = 6

export function virtualRows(
  source: RowSource,
  label: string,
  rowHeightPx: () => number,
  until: AbortSignal,
): VirtualRows {
  const sizer = h('div', { class: 'rows-sizer' })
  const element = h('div', { class: 'rows', role: 'table', 'aria-label': label, tabindex: 0 }, sizer)
  const pool: HTMLElement[] = []
  let sticky = true
  let asked = false

  const draw = () => {
    asked = false
    const height = rowHeightPx()
    sizer.style.height = `${source.length * height}px`
    element.setAttribute('aria-rowcount', String(source.length))
    if (sticky) element.scrollTop = element.scrollHeight
    const first = Math.max(0, Math.floor(element.scrollTop / height) - SPARE_ROWS)
    const shown = Math.min(source.length - first, Math.ceil(element.clientHeight / height) + 2 * SPARE_ROWS)
    for (let i = 0; i < Math.max(shown, pool.length); i++) placeRow(i, first, shown, height)
  }
  const placeRow = (i: number, first: number, shown: number, height: number) => {
    let row = pool[i]
    if (!row) {
      row = source.create()
      pool.push(row)
      sizer.append(row)
    }
    row.hidden = i >= shown
    if (i >= shown) return
    row.style.transform = `translateY(${(first + i) * height}px)`
    row.setAttribute('aria-rowindex', String(first + i + 1))
    row.dataset.index = String(first + i)
    source.fill(row, first + i)
  }
  const refresh = () => {
    if (asked || until.aborted) return
    asked = true
    requestAnimationFrame(draw)
  }
  listen(
    element,
    'scroll',
    () => {
      sticky = element.scrollTop + element.clientHeight >= element.scrollHeight - 4
      refresh()
    },
    until,
  )
  const resizer = new ResizeObserver(refresh)
  resizer.observe(element)
  until.addEventListener('abort', () => resizer.disconnect())
  return {
    element,
    refresh,
    scrollTo(index) {
      sticky = false
      const height = rowHeightPx()
      const top = index * height
      if (top < element.scrollTop) element.scrollTop = top
      else if (top + height > element.scrollTop + element.clientHeight)
        element.scrollTop = top + height - element.clientHeight
      refresh()
    },
    get atEnd() {
      return sticky
    },
  }
}
