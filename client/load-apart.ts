/** Code that does not come with a client's first download. */
import { OttlaError } from './errors.ts'

/** Rejects DISCONNECTED when it cannot be had now; a later call asks again. */
export async function loadApart<T>(what: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    throw new OttlaError('DISCONNECTED', {
      message: `the code for ${what} could not be loaded`,
      // Chromium remembers a module that it could not fetch for as long as the page lives.
      hint: 'repeat the call when online; else load the page again',
      cause,
    })
  }
}
