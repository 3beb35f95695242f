/** What this browser says about its storage. Every part may be missing; then it is null, not guessed. */
export interface StorageFacts {
  usageBytes: number | null
  quotaBytes: number | null
  /** True: the browser will not clear it by itself. */
  persisted: boolean | null
}

export async function readStorageFacts(): Promise<StorageFacts> {
  const storage = navigator.storage as StorageManager | undefined
  const estimate = await quietly(() => storage?.estimate?.())
  const persisted = await quietly(() => storage?.persisted?.())
  return { usageBytes: estimate?.usage ?? null, quotaBytes: estimate?.quota ?? null, persisted: persisted ?? null }
}

/** Asks the browser to keep the data; null when it cannot be asked. */
export async function askToPersist(): Promise<boolean | null> {
  const storage = navigator.storage as StorageManager | undefined
  return (await quietly(() => storage?.persist?.())) ?? null
}

async function quietly<T>(ask: () => Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await ask()
  } catch {
    return undefined
  }
}
