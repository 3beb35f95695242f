/**
 * Characters that are the same but for their case. Most have one other form; a few have more, such as k, K and the sign for
 * kelvin, which is its own upper case.
 */
const BMP_END = 0x10000
/** Built when first asked for: a character by what it becomes in another case. */
let cameFrom: ReadonlyMap<number, readonly number[]> | undefined
/** The same few characters are asked about over and over. */
const known = new Map<number, readonly number[]>()
const KNOWN_MAX = 1_000

/** All of them, without the character itself. */
export function formsOf(code: number): readonly number[] {
  const cached = known.get(code)
  if (cached) return cached
  const found = new Set([code])
  for (const form of found) for (const other of [...casesOf(form), ...originsOf(form)]) found.add(other)
  found.delete(code)
  const forms = [...found]
  if (known.size >= KNOWN_MAX) known.clear()
  known.set(code, forms)
  return forms
}

/** Upper and lower case, where that is one character. */
function casesOf(code: number): number[] {
  const text = String.fromCodePoint(code)
  return [text.toLowerCase(), text.toUpperCase()].flatMap((form) => {
    const other = form.codePointAt(0)!
    return other !== code && form.length === (other >= BMP_END ? 2 : 1) ? [other] : []
  })
}

function originsOf(code: number): readonly number[] {
  cameFrom ??= findOrigins()
  return cameFrom.get(code) ?? []
}

function findOrigins(): Map<number, number[]> {
  const origins = new Map<number, number[]>()
  for (let code = 0x80; code < BMP_END; code++) {
    for (const form of casesOf(code)) origins.set(form, [...(origins.get(form) ?? []), code])
  }
  return origins
}
