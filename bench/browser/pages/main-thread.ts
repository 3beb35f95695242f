/**
 * How long the page's thread was busy in one piece: the largest gap between ticks of a timer beyond the timer's
 * own. Long-task entries would leave out everything under 50 ms.
 */

const TICK_MS = 4

export function watchMainThread(): { stop(): number } {
  let lastMs = performance.now()
  let longestMs = 0
  const timer = setInterval(() => {
    const nowMs = performance.now()
    longestMs = Math.max(longestMs, nowMs - lastMs - TICK_MS)
    lastMs = nowMs
  }, TICK_MS)
  return {
    stop() {
      clearInterval(timer)
      return longestMs
    },
  }
}
