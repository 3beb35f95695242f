/** Addresses of photos that are shown, the last of them; older ones are given back to the browser. */
const KEPT = 60
const urls = new Map<string, string>()

export const pictures = {
  urlOf(id: string, content: Uint8Array, type: string): string {
    const known = urls.get(id)
    if (known) return known
    const url = URL.createObjectURL(new Blob([content as Uint8Array<ArrayBuffer>], { type }))
    urls.set(id, url)
    const [oldest] = urls.keys()
    if (urls.size > KEPT && oldest) {
      URL.revokeObjectURL(urls.get(oldest)!)
      urls.delete(oldest)
    }
    return url
  },
}
