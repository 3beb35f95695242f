/**
 * On disk the top bit of a batch's leader epoch says: this batch begins a commit. The epoch lies outside the batch's
 * checksum and never uses that bit; it is set just before the write and cleared before anybody reads.
 *
 * A commit is written only after the one before it was synced. So everything before a marked batch was durable when that
 * batch was written, and recovery can tell what a power cut may do from what it can't:
 *
 *   [commit 1: ok ok][commit 2: ok BAD ok]                    the last commit is torn: cut at BAD, nobody was told of it
 *   [commit 1: ok BAD][commit 2: ok ok]                       BAD was durable: damage, the partition goes offline
 */
import { viewOf } from '../../protocol/record-batch.ts'

const AT_TOP_OF_EPOCH = 12
const MARK = 0x80

export function markCommitStart(batch: Uint8Array): void {
  batch[AT_TOP_OF_EPOCH] = batch[AT_TOP_OF_EPOCH]! | MARK
}

/** Clears the mark of the batch that begins at `at`. */
export function clearCommitMark(bytes: Uint8Array, at = 0): void {
  const index = at + AT_TOP_OF_EPOCH
  bytes[index] = bytes[index]! & ~MARK
}

export const beginsCommit = (bytes: Uint8Array, at = 0): boolean => (bytes[at + AT_TOP_OF_EPOCH]! & MARK) !== 0

/** The leader epoch without the mark. */
export const epochOf = (bytes: Uint8Array, at = 0): number => viewOf(bytes).getInt32(at + AT_TOP_OF_EPOCH) & 0x7fff_ffff
