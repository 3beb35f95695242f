/** Makes fake-indexeddb fail as browsers do. Each returns the function that mends it. */

/** Requests of this kind fail when `isHit` says so; others go through. */
export function failRequests(
  method: 'get' | 'getAll',
  failure: DOMException,
  isHit: (store: IDBObjectStore, query: unknown) => boolean,
): () => void {
  const prototype = IDBObjectStore.prototype
  const original = prototype[method]
  prototype[method] = function (this: IDBObjectStore, ...args: [never, never]) {
    if (isHit(this, args[0])) return failedRequest(failure)
    return original.apply(this, args)
  } as never
  return () => {
    prototype[method] = original as never
  }
}

/** The next `count` openings of a database fail; -1: all. */
export function failOpening(failure: DOMException, count = -1): () => void {
  const prototype = Object.getPrototypeOf(indexedDB) as IDBFactory
  const original = prototype.open
  let left = count
  prototype.open = function (...args) {
    if (left-- === 0) prototype.open = original
    else return failedRequest(failure) as unknown as IDBOpenDBRequest
    return original.apply(this, args)
  }
  return () => {
    prototype.open = original
  }
}

/** Read-write transactions abort at their end, after all their requests have succeeded: a disk that fills at the commit. */
export function failCommits(failure: DOMException): () => void {
  const prototype = IDBTransaction.prototype
  const original = prototype.commit
  prototype.commit = function () {
    Object.defineProperty(this, 'error', { get: () => failure, set() {}, configurable: true })
    this.abort()
  }
  return () => {
    prototype.commit = original
  }
}

function failedRequest(failure: DOMException): IDBRequest {
  const request = Object.create(IDBRequest.prototype) as IDBRequest
  const target = new EventTarget()
  const fail = () => queueMicrotask(() => target.dispatchEvent(new Event('error')))
  Object.defineProperties(request, {
    error: { value: failure },
    transaction: { value: null },
    onsuccess: { set() {} },
    onupgradeneeded: { set() {} },
    onerror: { set: (heard: () => void) => target.addEventListener('error', heard) },
    addEventListener: { value: target.addEventListener.bind(target) },
    removeEventListener: { value: target.removeEventListener.bind(target) },
  })
  fail()
  return request
}
