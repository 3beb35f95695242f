/** A rate over the last seconds that neither jumps nor lags much. Time is handed in. */
/** Counts in eight slots of half a second. */
export class RateWindow {
  private readonly counts = new Float64Array(8)
  private slot = 0

  add(nowMs: number, records: number): void {
    this.moveTo(nowMs)
    this.counts[this.slot % 8] = (this.counts[this.slot % 8] ?? 0) + records
  }

  rate(nowMs: number): number {
    this.moveTo(nowMs)
    // The slot that is being filled is left out: half of a half second would read as half the rate.
    const full = this.counts.reduce((sum, each) => sum + each, 0) - (this.counts[this.slot % 8] ?? 0)
    return full / 3.5
  }

  private moveTo(nowMs: number): void {
    const slot = Math.floor(nowMs / 500)
    const from = Math.max(this.slot + 1, slot - 7)
    for (let each = from; each <= slot; each++) this.counts[each % 8] = 0
    this.slot = Math.max(this.slot, slot)
  }
}
