/** Polls until `condition` holds (or stops throwing). Fails with the last error or value after `withinMs` (default 5 s). */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  options: { withinMs?: number; everyMs?: number; what?: string } = {},
): Promise<NonNullable<T>> {
  const { withinMs = 5_000, everyMs = 10, what = condition.toString() } = options
  const deadline = performance.now() + withinMs
  let last: unknown
  for (;;) {
    try {
      last = await condition()
      if (last) return last as NonNullable<T>
    } catch (error) {
      last = error
    }
    if (performance.now() > deadline) {
      throw new Error(`did not become true within ${withinMs} ms: ${what}`, { cause: last })
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
