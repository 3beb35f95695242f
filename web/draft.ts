/** A form's unsaved text, kept on this device so that neither a reload nor an update loses it. */
const PREFIX = 'ottla-draft:'

export interface Draft {
  topic: string
  key: string
  value: string
  headers: { key: string; value: string }[]
}

export const EMPTY_DRAFT: Draft = { topic: '', key: '', value: '', headers: [] }

/** Private windows may refuse storage; then a draft lives as long as its form. */
export function loadDraft(name: string): Draft {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(PREFIX + name) ?? 'null')
    return isDraft(stored) ? stored : EMPTY_DRAFT
  } catch {
    return EMPTY_DRAFT
  }
}

export function saveDraft(name: string, draft: Draft): void {
  try {
    if (draft.value === '' && draft.key === '' && draft.headers.length === 0) localStorage.removeItem(PREFIX + name)
    else localStorage.setItem(PREFIX + name, JSON.stringify(draft))
  } catch {
    // Nothing to do: the form itself still holds the text.
  }
}

function isDraft(value: unknown): value is Draft {
  if (typeof value !== 'object' || value === null) return false
  const { topic, key, value: text, headers } = value as Record<string, unknown>
  return typeof topic === 'string' && typeof key === 'string' && typeof text === 'string' && Array.isArray(headers)
}
