/** Around a recording run: empties the folder of recordings, and afterwards makes the fixture of what is in it. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { fixtureFrom } from '../recorded-requests.ts'
import type { RecordingFile } from './recorder.ts'

const RECORDINGS = new URL('../../../dist/recordings/', import.meta.url)
const FIXTURE = new URL('../../fixtures/requests/', import.meta.url)

export default function collect(): () => void {
  rmSync(RECORDINGS, { recursive: true, force: true })
  return () => {
    const files = readdirSync(RECORDINGS).sort()
    const parts = files.map((name) => JSON.parse(readFileSync(new URL(name, RECORDINGS), 'utf8')) as RecordingFile)
    const { index, bytes } = fixtureFrom(parts)
    for (const word of [hostname(), process.cwd()]) {
      if (bytes.includes(word)) throw new Error(`a recorded request names this machine: ${word}`)
    }
    mkdirSync(FIXTURE, { recursive: true })
    writeFileSync(new URL('sessions.json', FIXTURE), `${JSON.stringify(index)}\n`)
    writeFileSync(new URL('sessions.bin', FIXTURE), bytes)
    console.log(`test/fixtures/requests: ${index.sessions.length} sessions, ${bytes.length} bytes`)
  }
}
