/** A built page as its next release would be: another title, and another revision of it in the service worker. */
export function nextRelease(html: string, worker: string, title: string): { html: string; worker: string } {
  const revision = /(url:.index\.html.,revision:.)[0-9a-f]+|(revision:.)[0-9a-f]+(.,url:.index\.html)/
  const fresh = Date.now().toString(16)
  const changed = worker.replace(revision, (_, before = '', other = '', after = '') => before + other + fresh + after)
  if (changed === worker) throw new Error('the service worker names no revision of index.html')
  return { html: html.replace(/<title>.*<\/title>/, `<title>${title}</title>`), worker: changed }
}
