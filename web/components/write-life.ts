/** The life of one write as a line with three stops: written, kept on this device, in the log. */
import { h } from '../dom.ts'
import { count, sentences, span, time } from '../format.ts'
import type { Write } from '../writes.ts'

export function writeLife(write: Write): HTMLElement {
  return h(
    'li',
    { class: 'life', 'data-stage': write.stage },
    h(
      'div',
      { class: 'life-head' },
      h('strong', {}, write.topic),
      h('span', { class: 'life-value' }, write.key === null ? write.value : `${write.key}: ${write.value}`),
    ),
    h('div', { class: 'life-line', 'aria-hidden': 'true' }, h('i'), h('i'), h('i')),
    h('p', { class: 'life-text num' }, lifeText(write)),
    write.error && h('p', { class: 'life-error' }, sentences(write.error.message, write.error.hint)),
  )
}

export function lifeText(write: Write): string {
  const stored = write.storedAfterMs === null ? '' : `, stored in ${span(write.storedAfterMs)}`
  switch (write.stage) {
    case 'storing':
      return `${time(write.startedAtMs)}, being stored …`
    case 'stored':
      return write.durability === 'memory'
        ? 'Only in memory: this browser gives no storage, so keep the page open until it is sent'
        : `${time(write.startedAtMs)}${stored} on this device, on its way to the log`
    case 'committed':
      return `In the log at ${write.at?.partition ?? '?'} · ${whereInLog(write)}${stored}, committed in ${span(write.committedAfterMs ?? 0)}`
    case 'failed':
      return 'Not in the log'
  }
}

// After a repeated send the relay may know that a record is there, but no longer at which offset.
function whereInLog({ at }: Write): string {
  return at && at.offset >= 0 ? count(at.offset) : 'offset no longer known'
}
