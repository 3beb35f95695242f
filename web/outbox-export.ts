/** The outbox as JSON text: enough for a person to see what was written, and for a program to send it elsewhere. */
import type { ExportedEntry } from '../client/core.ts'

export function exportOutbox(entries: readonly ExportedEntry[]): string {
  const plain = entries.map(({ batch, ...entry }) => ({
    ...entry,
    storedAt: new Date(entry.storedAtMs).toISOString(),
    recordBatchBase64: base64(batch),
  }))
  return JSON.stringify({ format: 'ottla-outbox', version: 1, entries: plain }, null, 2)
}

// In pieces: a spread of a whole batch would overflow the stack of arguments.
function base64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(text)
}
