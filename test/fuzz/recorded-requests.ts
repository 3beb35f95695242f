/**
 * What real clients sent, connection by connection: test/fixtures/requests, made by `npm run record-requests`.
 *
 * Topics are called t0 to t3 in it and have ids that say which is which, so that a relay's own can take their place.
 * Kept are sessions that show a request of a new form: API, version, and which fields are null or empty.
 */
import { readFileSync } from 'node:fs'
import { concatenate } from '../../protocol/compression.ts'
import { uuidToBytes } from '../../protocol/lib/uuid.ts'
import type { Recording, RecordingFile } from './recording/recorder.ts'
import { type RequestTree, readRequest, writeRequest } from './request-tree.ts'
import { type Node, nodesIn } from './wire-tree.ts'

export const TOPIC_NAMES = ['t0', 't1', 't2', 't3'] as const
/** Stands for the id of the topic of that number. */
export const placeholderId = (topic: number) => new Uint8Array(16).fill(0xa0 + topic)

const FRAME_BYTES_MAX = 4096
const FRAMES_PER_SESSION_MAX = 32
/** Requests of one form that a session keeps: two show that a thing was done again. */
const ALIKE_MAX = 2

export interface FixtureIndex {
  /** Sizes of the frames in sessions.bin, which follow each other without anything between. */
  sessions: number[][]
}

export function loadSessions(): Uint8Array[][] {
  const folder = new URL('../fixtures/requests/', import.meta.url)
  const { sessions } = JSON.parse(readFileSync(new URL('sessions.json', folder), 'utf8')) as FixtureIndex
  const bytes = new Uint8Array(readFileSync(new URL('sessions.bin', folder)))
  let at = 0
  const take = (size: number) => {
    at += size
    return bytes.subarray(at - size, at)
  }
  return sessions.map((sizes) => sizes.map(take))
}

export function fixtureFrom(files: readonly RecordingFile[]): { index: FixtureIndex; bytes: Buffer } {
  const seen = new Set<string>()
  const sessions = files.flatMap(({ recordings, topicIds }) => {
    const topics = new Map(Object.entries(topicIds).map(([id, name], index) => [name, { id, index: index % 4 }]))
    return recordings.map((recording) => sessionFrom(recording, topics, seen)).filter((frames) => frames.length > 0)
  })
  const bytes = Buffer.from(concatenate(sessions.flat()))
  return { index: { sessions: sessions.map((frames) => frames.map(({ length }) => length)) }, bytes }
}

type Topics = ReadonlyMap<string, { id: string; index: number }>

/** Nothing when all its requests have been seen before. */
function sessionFrom({ frames }: Recording, topics: Topics, seen: Set<string>): Uint8Array[] {
  const counts = new Map<string, number>()
  const kept: Uint8Array[] = []
  let hasNew = false
  for (const frame of frames) {
    const bytes = new Uint8Array(Buffer.from(frame, 'base64'))
    if (bytes.length > FRAME_BYTES_MAX || kept.length === FRAMES_PER_SESSION_MAX) continue
    const tree = treeOf(bytes)
    if (!tree) continue
    const form = formOf(tree)
    const count = counts.get(form) ?? 0
    counts.set(form, count + 1)
    if (count >= ALIKE_MAX) continue
    hasNew ||= !seen.has(form)
    seen.add(form)
    rename(tree.body, topics)
    kept.push(writeRequest(tree))
  }
  return hasNew ? kept : []
}

/** Some clients begin with a version that is not served. */
function treeOf(bytes: Uint8Array): RequestTree | undefined {
  try {
    return readRequest(bytes)
  } catch {
    return undefined
  }
}

function formOf({ api, version, body }: RequestTree): string {
  const parts = [...nodesIn(body)].map((node) => {
    if (node.kind === 'array') return node.elements ? Math.min(node.elements.length, 2) : '-'
    if (node.kind === 'struct') return node.presence ?? ''
    return 'content' in node ? (node.content ? Number(node.content.length > 0) : '-') : ''
  })
  return `${api.key}/${version}:${parts.join('')}`
}

function rename(body: Node, topics: Topics): void {
  for (const node of nodesIn(body)) {
    if (node.kind === 'string' && node.content) {
      const topic = topics.get(Buffer.from(node.content).toString())
      if (topic) node.content = Buffer.from(TOPIC_NAMES[topic.index]!)
    } else if (node.kind === 'uuid') {
      const bytes = Buffer.from(node.bytes)
      for (const { id, index } of topics.values()) if (bytes.equals(uuidToBytes(id))) node.bytes = placeholderId(index)
    }
  }
}
