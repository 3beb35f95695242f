/**
 * Resolves when the transaction is complete; rejects with what it failed of. `done` of idb asks as soon as a request has failed,
 * when a transaction of Firefox does not know yet: a full quota would be an AbortError there.
 */
export function completionOf(transaction: IDBTransaction): Promise<void> {
  const completion = new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () =>
      reject(transaction.error ?? new DOMException('the transaction was aborted', 'AbortError'))
  })
  // Awaited by whoever began it; until then a rejection must not count as unhandled.
  completion.catch(() => {})
  return completion
}
