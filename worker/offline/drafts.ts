/**
 * What is typed into a form, kept on this device until it is stored: neither a reload nor an update nor a closed tab loses it.
 *
 * A tab gets back what it had itself (each tab may be writing something else); a tab that is opened anew, what was typed last.
 * Fields are kept by their names; passwords and files are not.
 */
export interface Draft {
  /** Something is in it that has not been stored. */
  readonly isDirty: boolean
  /** Writes down what stands in the form now; for fields that a script has filled. */
  keep(): void
  /** It was stored, or given up. The form's fields are the caller's to empty. */
  clear(): void
}

type Values = Record<string, string[]>

const PREFIX = 'ottla-form:'
const LONG_CHARS = 65_536
const NOT_KEPT = new Set(['password', 'file', 'submit', 'button', 'reset', 'image'])

/** Fills the form with what was kept under this name, and keeps it from now on. */
export function keepDraft(form: HTMLFormElement, name: string): Draft {
  const pristine = JSON.stringify(valuesOf(form))
  const found = storages().reduce<Values | undefined>((so, storage) => so ?? read(storage, name), undefined)
  if (found) fill(form, found)
  let isDirty = found !== undefined
  const keep = () => {
    const values = valuesOf(form)
    isDirty = JSON.stringify(values) !== pristine
    for (const storage of storages()) write(storage, name, isDirty ? values : null)
  }
  form.addEventListener('input', keep)
  form.addEventListener('change', keep)
  return {
    get isDirty() {
      return isDirty
    },
    keep,
    clear() {
      isDirty = false
      for (const storage of storages()) write(storage, name, null)
    },
  }
}

function valuesOf(form: HTMLFormElement): Values {
  const values: Values = {}
  for (const field of fieldsOf(form)) {
    if (isChoice(field) && !field.checked) continue
    values[field.name] = [...(values[field.name] ?? []), field.value]
  }
  return values
}

function fill(form: HTMLFormElement, values: Values): void {
  const left = new Map(Object.entries(values).map(([name, all]) => [name, [...all]]))
  for (const field of fieldsOf(form)) {
    if (isChoice(field)) field.checked = values[field.name]?.includes(field.value) ?? false
    else field.value = left.get(field.name)?.shift() ?? ''
  }
}

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement

function fieldsOf(form: HTMLFormElement): Field[] {
  return [...form.elements].filter(
    (element): element is Field => 'value' in element && 'name' in element && element.name !== '' && isKept(element),
  )
}

const isKept = (element: Element): boolean =>
  !(element instanceof HTMLButtonElement) && !(element instanceof HTMLInputElement && NOT_KEPT.has(element.type))

const isChoice = (field: Field): field is HTMLInputElement => field.type === 'checkbox' || field.type === 'radio'

/** This tab's own first. Where storage is forbidden, asking for it throws. */
function storages(): Storage[] {
  const found: Storage[] = []
  for (const name of ['sessionStorage', 'localStorage'] as const) {
    try {
      found.push(globalThis[name])
    } catch {
      // Then without it.
    }
  }
  return found
}

function read(storage: Storage, name: string): Values | undefined {
  try {
    const found: unknown = JSON.parse(storage.getItem(PREFIX + name) ?? 'null')
    return isValues(found) ? found : undefined
  } catch {
    return undefined
  }
}

/**
 * Where storage is full, what is long (a picture in a hidden field, say) is left out; where it is refused, a draft lives as
 * long as its form.
 */
function write(storage: Storage, name: string, values: Values | null): void {
  const key = PREFIX + name
  if (values === null) return storage.removeItem(key)
  for (const kept of [values, withoutLong(values)]) {
    try {
      return storage.setItem(key, JSON.stringify(kept))
    } catch {
      // Tried once more with less.
    }
  }
}

function withoutLong(values: Values): Values {
  const short = (value: string) => value.length <= LONG_CHARS
  return Object.fromEntries(Object.entries(values).filter(([, all]) => all.every(short)))
}

function isValues(value: unknown): value is Values {
  if (typeof value !== 'object' || value === null) return false
  return Object.values(value).every((all) => Array.isArray(all) && all.every((each) => typeof each === 'string'))
}
