/**
 * `manifest`: what the log consists of, as of the last roll, checkpoint, retention or truncation. One line of JSON, one
 * line with its CRC-32C, replaced atomically. It knows what a list of file names can't: that a file is missing.
 *
 * `clean`: the same form, says where a log that was closed in order ended. Written last at closing, removed before the
 * first write after opening, never written after an error.
 */

import type { Files } from '../storage/files.ts'
import { isMissing, readWholeFile, replaceFile } from '../storage/files.ts'
import { logCrc32c } from './checksum.ts'
import type { EpochEntry } from './epoch-table.ts'
import { CLEAN_MARKER_NAME, MANIFEST_NAME } from './log-names.ts'

export interface SealedSegment {
  baseOffset: number
  endOffset: number
  sizeBytes: number
  maxTimestamp: number
  /** The least first offset of transactions whose abort marker lies in it; left out when there is none. */
  abortedFrom?: number
  /** See log-names.ts. */
  compacted?: { endOffset: number; generation: number }
  /** From when on (wall clock) compaction may drop tombstones or markers in it; left out when there are none to drop. */
  horizonMs?: number
  /** When it was written to last (wall clock), where no record has a timestamp to tell its age by. */
  writtenMs?: number
}

export interface Manifest {
  version: 1
  /** The first offset that may be read. */
  startOffset: number
  epochs: readonly EpochEntry[]
  /** Complete segments, in order, without gaps. */
  sealed: SealedSegment[]
  /** First offset of the segment that is written to; null before the first write. */
  active: number | null
  /** When it was begun (wall clock), so that its age goes on over restarts. */
  activeSinceMs?: number
  /** Up to here the active segment is durable and was checked; recovery scans from here on. */
  checkpoint: { position: number; endOffset: number } | null
  /** A truncation to this offset was decided. Whoever opens the log finishes it. */
  truncateTo: number | null
  /** Below this offset no key has two records, but for what `skippedFrom` says. Left out: 0. */
  compactedTo?: number
  /** From here on compaction left something as it was that it could not read; until that is made up for, no tombstone goes. */
  skippedFrom?: number
}

export interface CleanMarker {
  active: number | null
  sizeBytes: number
  endOffset: number
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function encodeChecked(value: unknown): Uint8Array {
  const line = JSON.stringify(value)
  return encoder.encode(`${line}\n${logCrc32c(encoder.encode(line)).toString(16).padStart(8, '0')}\n`)
}

function decodeChecked(bytes: Uint8Array): unknown {
  const [line, crc] = decoder.decode(bytes).split('\n')
  if (!line || !crc || logCrc32c(encoder.encode(line)) !== Number.parseInt(crc, 16)) return undefined
  return JSON.parse(line)
}

export type ReadManifest = { state: 'absent' } | { state: 'damaged' } | { state: 'read'; manifest: Manifest }

export async function readManifest(files: Files, dir: string): Promise<ReadManifest> {
  const bytes = await readWholeFile(files, `${dir}/${MANIFEST_NAME}`)
  if (!bytes) return { state: 'absent' }
  const manifest = decodeChecked(bytes) as Manifest | undefined
  if (!manifest) return { state: 'damaged' }
  if (manifest.version !== 1) {
    throw new Error(`${dir}/${MANIFEST_NAME} has format ${manifest.version}; this version of the relay reads format 1`)
  }
  return { state: 'read', manifest }
}

export const encodeManifest = (manifest: Manifest): Uint8Array => encodeChecked(manifest)

export const writeManifest = (files: Files, dir: string, manifest: Manifest): Promise<void> =>
  replaceFile(files, dir, MANIFEST_NAME, encodeManifest(manifest))

export async function readCleanMarker(files: Files, dir: string): Promise<CleanMarker | undefined> {
  const bytes = await readWholeFile(files, `${dir}/${CLEAN_MARKER_NAME}`)
  return bytes && (decodeChecked(bytes) as CleanMarker | undefined)
}

export const writeCleanMarker = (files: Files, dir: string, marker: CleanMarker): Promise<void> =>
  replaceFile(files, dir, CLEAN_MARKER_NAME, encodeChecked(marker))

export async function removeCleanMarker(files: Files, dir: string): Promise<void> {
  try {
    await files.remove(`${dir}/${CLEAN_MARKER_NAME}`)
  } catch (error) {
    if (!isMissing(error)) throw error
    return
  }
  await files.syncDir(dir)
}
