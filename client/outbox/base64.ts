/** Bytes as base64 text, of any length. */

const ENCODE_AT_A_TIME = 8_192

// In pieces: a spread of a whole batch would overflow the stack of arguments.
export function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += ENCODE_AT_A_TIME) {
    text += String.fromCharCode(...bytes.subarray(at, at + ENCODE_AT_A_TIME))
  }
  return btoa(text)
}

/** Throws on what is no base64. */
export const fromBase64 = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
