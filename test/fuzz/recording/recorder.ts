/**
 * Set-up file of a recording run (vitest.recording.config.ts): keeps every request that a relay of this process gets,
 * by connection, and writes them to a file when the tests of this file are over.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { Connection } from '../../../server/connection.ts'
import { KafkaListener } from '../../../server/listener/kafka.ts'

export const RECORDINGS = fileURLToPath(new URL('../../../dist/recordings', import.meta.url))

/** One connection: what it sent, in order. Bytes as base64. */
export interface Recording {
  frames: string[]
}

export interface RecordingFile {
  recordings: Recording[]
  /** Topic ids by name, as the relay gave them out. */
  topicIds: Record<string, string>
}

const recordings = new Map<Connection, Recording>()
const topicIds: Record<string, string> = {}
const receive = Connection.prototype.receive

Connection.prototype.receive = function record(message) {
  const recording = recordings.get(this) ?? { frames: [] }
  recordings.set(this, recording)
  recording.frames.push(Buffer.from(message).toString('base64'))
  for (const { name, id } of this.services.engine.topics()) topicIds[id] = name
  receive.call(this, message)
}
// Loaded, so that both doors run through the method above.
void KafkaListener

afterAll(() => {
  if (recordings.size === 0) return
  mkdirSync(RECORDINGS, { recursive: true })
  const file: RecordingFile = { recordings: [...recordings.values()], topicIds }
  writeFileSync(`${RECORDINGS}/${process.pid}-${Date.now()}.json`, JSON.stringify(file))
})
