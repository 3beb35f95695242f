/**
 * Serves records to raw IndexedDB and to the peers: `/frames?records=N&frame=BYTES` sends binary frames of whole 100 B
 * records, at most 8 MiB beyond what the page has stored, then one text message at the end.
 *
 * The bytes do not compress. Peers get bare payloads, back to back, so that they decode nothing.
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'
import { RECORD_BYTES } from './pages/contract.ts'

const CREDIT_BYTES = 8 * 2 ** 20

export interface FrameSource {
  /** Address of a stream of so many records. `recordBytes` makes room for the framing of the real thing. */
  url(options: { records: number; frameBytes: number; recordBytes?: number }): string
  close(): Promise<void>
}

/** Xorshift: fast, the same each time, incompressible. */
function noise(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  let state = 0x9e3779b9
  for (let at = 0; at < size; at++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[at] = state
  }
  return bytes
}

function sendFrames(socket: WebSocket, records: number, recordBytes: number, recordsPerFrame: number): void {
  const whole = noise(recordsPerFrame * recordBytes)
  let credit = CREDIT_BYTES
  let left = records
  const pump = () => {
    while (left > 0 && credit > 0) {
      const count = Math.min(left, recordsPerFrame)
      socket.send(count === recordsPerFrame ? whole : whole.subarray(0, count * recordBytes))
      credit -= count * recordBytes
      left -= count
      if (left === 0) socket.send('end')
    }
  }
  socket.on('message', (data) => {
    credit += Number(String(data))
    pump()
  })
  socket.on('error', () => socket.terminate())
  pump()
}

export async function startFrameSource(): Promise<FrameSource> {
  const http: Server = createServer((_, response) => void response.writeHead(404).end())
  const sockets = new WebSocketServer({ server: http, perMessageDeflate: false })
  sockets.on('connection', (socket, request) => {
    const query = new URL(request.url ?? '/', 'http://localhost').searchParams
    const recordBytes = Number(query.get('record'))
    sendFrames(socket, Number(query.get('records')), recordBytes, Math.floor(Number(query.get('frame')) / recordBytes))
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const address = http.address()
  if (address === null || typeof address === 'string') throw new Error('the frame source has no TCP address')
  return {
    url: ({ records, frameBytes, recordBytes = RECORD_BYTES }) =>
      `ws://127.0.0.1:${address.port}/frames?records=${records}&record=${recordBytes}&frame=${frameBytes}`,
    async close() {
      for (const socket of sockets.clients) socket.terminate()
      http.closeAllConnections()
      http.close()
      await once(http, 'close')
    },
  }
}
