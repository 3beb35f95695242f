/**
 * Keyboard shortcuts: single keys (`?`, `/`, `j`) and two-key ones (`g t`), in one table that the help shows.
 *
 * Never steals keys from a field, from a modified chord, or (Space, Enter) from a focused control.
 */
import { listen } from './dom.ts'

export interface Shortcut {
  keys: string
  does: string
  run: () => void
}

const PREFIX_HELD_MS = 1500

export class Keyboard {
  private readonly shortcuts = new Set<Shortcut>()
  private prefix = ''
  private prefixAtMs = 0

  constructor(until: AbortSignal) {
    listen(document, 'keydown', (event) => this.onKey(event), until)
  }

  /** Adds shortcuts until the signal fires: a screen's own keys leave with it. */
  add(shortcuts: Shortcut[], until: AbortSignal): void {
    for (const shortcut of shortcuts) this.shortcuts.add(shortcut)
    until.addEventListener('abort', () => {
      for (const shortcut of shortcuts) this.shortcuts.delete(shortcut)
    })
  }

  list(): readonly Shortcut[] {
    return [...this.shortcuts]
  }

  private onKey(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
    if (isTyping(event.target) || document.querySelector('dialog[open]')) return
    const key = event.key === ' ' ? 'Space' : event.key
    if (isPressOf(event.target, key)) return
    const held = event.timeStamp - this.prefixAtMs < PREFIX_HELD_MS ? this.prefix : ''
    this.prefix = ''
    const found = this.find(held ? `${held} ${key}` : key) ?? (held ? this.find(key) : undefined)
    if (found) {
      event.preventDefault()
      found.run()
    } else if ([...this.shortcuts].some((shortcut) => shortcut.keys.startsWith(`${key} `))) {
      this.prefix = key
      this.prefixAtMs = event.timeStamp
    }
  }

  // The last added wins, so a screen may take over a key for as long as it is shown.
  private find(keys: string): Shortcut | undefined {
    return [...this.shortcuts].reverse().find((shortcut) => shortcut.keys === keys)
  }
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  if (target instanceof HTMLInputElement) return !['range', 'checkbox', 'button'].includes(target.type)
  return target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement
}

/** Whether the key already means something where the focus is: Enter follows links, Enter and Space press buttons. */
function isPressOf(target: EventTarget | null, key: string): boolean {
  const pressable = key === 'Enter' ? 'a, button, summary, [role="table"]' : key === 'Space' ? 'button, summary' : null
  return pressable !== null && target instanceof Element && target.closest(pressable) !== null
}
