/**
 * Characters that are the same but for their case, as Unicode's simple folding has it. Most have one other form; a few have
 * more, such as k, K and the sign for kelvin, which is its own upper case.
 */
const BMP_END = 0x10000
/** A letter of its own, though JavaScript makes an I of it. */
const DOTLESS_I = 0x131
/** Those that become another character in another case, which does not become them again. */
const ONE_WAY = [...'µſǅǈǋǲ\u0345ςϐϑϕϖϰϱϴϵᲀᲁᲂᲃᲄᲅᲆᲇᲈẛẞᾈᾉᾊᾋᾌᾍᾎᾏᾘᾙᾚᾛᾜᾝᾞᾟᾨᾩᾪᾫᾬᾭᾮᾯᾼ\u1fbeῌῼ\u2126\u212a\u212b'].map(
  (letter) => letter.codePointAt(0)!,
)
const cameFrom = new Map<number, number[]>()
for (const code of ONE_WAY) for (const form of casesOf(code)) cameFrom.set(form, [...(cameFrom.get(form) ?? []), code])

/** The same few characters are asked about over and over. */
const known = new Map<number, readonly number[]>()
const KNOWN_MAX = 1_000

/** All of them, without the character itself. */
export function formsOf(code: number): readonly number[] {
  const cached = known.get(code)
  if (cached) return cached
  const found = new Set([code])
  for (const form of found) for (const other of [...casesOf(form), ...(cameFrom.get(form) ?? [])]) found.add(other)
  found.delete(code)
  const forms = [...found]
  if (known.size >= KNOWN_MAX) known.clear()
  known.set(code, forms)
  return forms
}

/** Upper and lower case, where that is one character. */
function casesOf(code: number): number[] {
  if (code === DOTLESS_I) return []
  const text = String.fromCodePoint(code)
  return [text.toLowerCase(), text.toUpperCase()].flatMap((form) => {
    const other = form.codePointAt(0)!
    return other !== code && form.length === (other >= BMP_END ? 2 : 1) ? [other] : []
  })
}
