/** The same act many times, and what it took: one after another. */
export async function timesOf(times: number, act: (index: number) => Promise<unknown>): Promise<number[]> {
  const taken: number[] = []
  for (let index = 0; index < times; index++) {
    const startedMs = performance.now()
    await act(index)
    taken.push(performance.now() - startedMs)
  }
  return taken
}
