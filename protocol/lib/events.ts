/** A typed list of listeners. A listener may be added or removed while an event is being told. */
export class Emitter<T> {
  #listeners: ReadonlyArray<(event: T) => void> = []

  get isUsed(): boolean {
    return this.#listeners.length > 0
  }

  /** Returns the function that takes the listener off again. */
  on(listener: (event: T) => void): () => void {
    this.#listeners = [...this.#listeners, listener]
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener)
    }
  }

  emit(event: T): void {
    for (const listener of this.#listeners) listener(event)
  }

  clear(): void {
    this.#listeners = []
  }
}
