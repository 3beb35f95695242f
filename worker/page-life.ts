/**
 * What happens to a page, as four words: it woke (visible, online, resumed), it goes (pagehide), it comes back from the
 * back/forward cache (pageshow, persisted).
 *
 * `navigator.onLine` says nothing reliable; its event is only a reason to look.
 */
export interface PageLife {
  onWake(): void
  /** `mayReturn`: the page may be kept, frozen, and come back; it must hold no lock and no channel then. */
  onLeave(mayReturn: boolean): void
  onReturn(): void
}

/** Returns the function that ends watching. */
export function watchPage(life: PageLife, page: Window = window): () => void {
  const over = new AbortController()
  const { signal } = over
  const onVisible = () => {
    if (page.document.visibilityState === 'visible') life.onWake()
  }
  page.document.addEventListener('visibilitychange', onVisible, { signal })
  page.document.addEventListener('resume', () => life.onWake(), { signal })
  page.addEventListener('online', () => life.onWake(), { signal })
  page.addEventListener('pagehide', (event) => life.onLeave(event.persisted), { signal })
  page.addEventListener('pageshow', (event) => (event.persisted ? life.onReturn() : undefined), { signal })
  return () => over.abort()
}
