/** How many bytes IndexedDB gives or takes in one transaction: what an operation needs in memory at once. */

const READS = ['get', 'getAll', 'getAllKeys'] as const

export interface IdbMeter {
  /** Since the last look: of the transaction that moved most, and of all. */
  look(): { largest: number; total: number }
  stop(): void
}

export function meterIdb(): IdbMeter {
  const prototype = IDBObjectStore.prototype as unknown as Record<string, (...args: unknown[]) => IDBRequest>
  const originals = new Map([...READS, 'put'].map((name) => [name, prototype[name]!]))
  let bytesOf = new Map<IDBTransaction, number>()
  const count = (transaction: IDBTransaction, value: unknown) =>
    bytesOf.set(transaction, (bytesOf.get(transaction) ?? 0) + sizeOf(value))
  for (const name of READS) {
    prototype[name] = function (this: IDBObjectStore, ...args) {
      const request = originals.get(name)!.apply(this, args)
      request.addEventListener('success', () => count(this.transaction, request.result))
      return request
    }
  }
  prototype.put = function (this: IDBObjectStore, ...args) {
    count(this.transaction, args[0])
    return originals.get('put')!.apply(this, args)
  }
  return {
    look() {
      const all = [...bytesOf.values()]
      bytesOf = new Map()
      return { largest: Math.max(0, ...all), total: all.reduce((sum, each) => sum + each, 0) }
    },
    stop() {
      for (const [name, original] of originals) prototype[name] = original
    },
  }
}

function sizeOf(value: unknown): number {
  if (value instanceof Uint8Array) return value.byteLength
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 8
  return Object.values(value).reduce((sum: number, each) => sum + sizeOf(each), 0)
}
