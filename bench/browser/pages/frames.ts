/**
 * Reads the frame source: binary WebSocket frames of whole records, with credit in bytes so that a slow store is not
 * buried. The consumer says when a frame is stored.
 */

export interface FrameStream {
  /** Resolves when every frame has been taken; rejects when the connection ends early. */
  done: Promise<void>
  stored(bytes: number): void
}

export function readFrames(url: string, onFrame: (frame: ArrayBuffer) => void): FrameStream {
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  const done = new Promise<void>((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) onFrame(data)
      else resolve()
    }
    socket.onclose = () => reject(new Error(`the frame source closed before its end: ${url}`))
  })
  return { done, stored: (bytes) => socket.send(String(bytes)) }
}

/** Batches up frames for stores that take them one transaction after another; `store` runs one at a time. */
export async function storeInTurn(
  url: string,
  store: (frame: Uint8Array) => Promise<void> | void,
): Promise<{ firstMs: number; lastMs: number }> {
  const startedMs = performance.now()
  let tail = Promise.resolve()
  let firstMs = 0
  const stream = readFrames(url, (frame) => {
    tail = tail.then(async () => {
      await store(new Uint8Array(frame))
      firstMs ||= performance.now() - startedMs
      stream.stored(frame.byteLength)
    })
  })
  await stream.done
  await tail
  return { firstMs, lastMs: performance.now() - startedMs }
}
