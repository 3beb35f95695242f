const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

export function showTime(element: HTMLTimeElement, atMs: number): void {
  const time = new Date(Number.isFinite(atMs) ? atMs : 0)
  element.dateTime = time.toISOString()
  element.textContent = format.format(time)
}
