/** Between lone writes: long enough for what a store does after it has answered. */
export const LONE_WRITE_GAP_MS = 15

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
