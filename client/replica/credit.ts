/**
 * What the relay may send on one subscription. Credit goes back in pieces of at least a part of the window, not for every
 * small frame, and the window follows the number of partitions that share the whole.
 */
const GRANT_SHARE = 8

export class Credit {
  /** What the relay was given at the start of the subscription, as changed by grants. */
  #windowBytes = 0
  #owedBytes = 0

  /** At the start of a subscription: what it is given, while some of its window waits to be stored. */
  open(windowBytes: number, waitingBytes: number): number {
    this.#windowBytes = windowBytes
    this.#owedBytes = 0
    return Math.max(0, windowBytes - waitingBytes)
  }

  /** So much has been stored, and the window should be that large. What to grant now: nothing, if it is too little. */
  giveBack(sizeBytes: number, windowBytes: number): number {
    this.#owedBytes += sizeBytes
    const grant = this.#owedBytes + windowBytes - this.#windowBytes
    if (grant <= 0 || grant < windowBytes / GRANT_SHARE) return 0
    this.#owedBytes = 0
    this.#windowBytes = windowBytes
    return grant
  }
}
