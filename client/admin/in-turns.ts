/** Many requests, a few at a time: a connection has a limit, and a broker that answers all at once has none. */
const AT_ONCE = 32

/** In the order of `items`; rejects with the first failure. */
export async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < items.length; at += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(work))))
  }
  return results
}
