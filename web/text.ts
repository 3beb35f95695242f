/** Record bytes as text for people: UTF-8 when they are, else hexadecimal; JSON is laid out. */
const strict = new TextDecoder('utf-8', { fatal: true })

export interface Shown {
  kind: 'json' | 'text' | 'hex' | 'none'
  text: string
}

/** One line for a table row, at most `charsMax` characters. */
export function preview(bytes: Uint8Array | null, charsMax = 240): string {
  if (bytes === null) return '∅'
  const head = bytes.subarray(0, charsMax * 4)
  const text = decodeText(head) ?? hex(bytes.subarray(0, charsMax / 3))
  return text.length > charsMax ? `${text.slice(0, charsMax)}…` : text
}

export function show(bytes: Uint8Array | null): Shown {
  if (bytes === null) return { kind: 'none', text: 'null' }
  const text = decodeText(bytes)
  if (text === null) return { kind: 'hex', text: hexLines(bytes) }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return { kind: 'json', text: JSON.stringify(value, null, 2) }
  } catch {
    // Not JSON: shown as the text it is.
  }
  return { kind: 'text', text }
}

// A preview may cut a character in two, so a broken last character is tolerated, control characters are not.
function decodeText(bytes: Uint8Array): string | null {
  for (let cut = 0; cut < 4 && cut <= bytes.length; cut++) {
    try {
      const text = strict.decode(bytes.subarray(0, bytes.length - cut))
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what marks binary data
      return /[\u0000-\u0008\u000e-\u001f]/.test(text) ? null : text
    } catch {
      // Try with one byte less.
    }
  }
  return null
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
}

function hexLines(bytes: Uint8Array): string {
  const lines: string[] = []
  for (let at = 0; at < Math.min(bytes.length, 4096); at += 16) {
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex(bytes.subarray(at, at + 16))}`)
  }
  if (bytes.length > 4096) lines.push(`… ${bytes.length - 4096} bytes more`)
  return lines.join('\n')
}
