/**
 * Hints that now is a good moment to look at the connection: the network is said to be back, the page became visible,
 * the machine woke. Only hints: `navigator.onLine` lies in both directions, so nothing here ever says "offline".
 *
 * The session knows this interface alone; browser-wake-ups.ts listens to a page, worker/ passes its tabs' hints on.
 */
export interface WakeUps {
  /** Returns the function that ends listening. */
  listen(wake: () => void): () => void
}

export const noWakeUps: WakeUps = { listen: () => () => {} }
