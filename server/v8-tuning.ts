/**
 * What V8 is told about this kind of program. It is for the whole process and as long as that lives, so it is the program
 * that asks for it.
 *
 * How much garbage may gather before the engine looks for it: a relay's heap is small, and what it handles are buffers
 * outside of it. V8 lets a small heap grow by a few megabytes only: at a hundred megabytes of records a second it would go
 * through the whole heap ten times a second to free them, which costs more than everything else that the relay does. So it
 * is told to wait for a fixed amount, however small the heap is; a heap that is larger than that by itself is left to V8.
 *
 * When code is compiled: a relay runs the same few paths all its life, each only some hundred times a second since
 * records are never looked at one by one. Interpreting them until they count as hot took a tenth of its time.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'

const GARBAGE_BYTES = 36 * 1024 * 1024
const LOOK_EVERY_MS = 5_000

export function tuneV8(): void {
  setFlagsFromString('--always-sparkplug')
  const look = () => setFlagsFromString(`--heap-growing-percent=${growthPercent(getHeapStatistics().used_heap_size)}`)
  look()
  setInterval(look, LOOK_EVERY_MS).unref()
}

/** 0 leaves it to V8. */
export function growthPercent(heapBytes: number): number {
  const percent = Math.round((GARBAGE_BYTES / Math.max(1, heapBytes)) * 100)
  return percent > 100 ? percent : 0
}
