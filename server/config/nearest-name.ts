/**
 * Guesses which known name a mistyped one was meant to be, by edit distance.
 *
 * A suggestion further away than a third of the typed name would be a riddle, so none is made then.
 */
export function nearestName(typed: string, known: Iterable<string>): string | undefined {
  const wanted = plain(typed)
  let nearest: string | undefined
  let nearestDistance = Math.floor(wanted.length / 3) + 1
  for (const name of known) {
    const distance = editDistance(wanted, plain(name), nearestDistance)
    if (distance < nearestDistance) {
      nearest = name
      nearestDistance = distance
    }
  }
  return nearest
}

/** `--http-port`, `httpPort`, `OTTLA_HTTP_PORT` and `http.port` are the same words in different clothes. */
function plain(name: string): string {
  return name
    .slice(0, 100)
    .toLowerCase()
    .replace(/^ottla_/, '')
    .replace(/[^a-z0-9]/g, '')
}

/** Levenshtein distance, or `giveUpAt` as soon as it cannot be less. */
function editDistance(from: string, to: string, giveUpAt: number): number {
  if (Math.abs(from.length - to.length) >= giveUpAt) return giveUpAt
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const substitution = previous[column - 1]! + (from[row - 1] === to[column - 1] ? 0 : 1)
      current.push(Math.min(substitution, previous[column]! + 1, current[column - 1]! + 1))
    }
    if (Math.min(...current) >= giveUpAt) return giveUpAt
    previous = current
  }
  return previous[to.length]!
}
