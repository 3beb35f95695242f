/**
 * CRC-32C for the log: a native one where its optional package loads (8 GB/s on large batches), else the script's
 * (1.5 GB/s). Below a few hundred bytes the call into native code costs more than it saves.
 */
import { createRequire } from 'node:module'
import type { Crc32c } from '../../protocol/bytes/crc32c.ts'
import { crc32c as crc32cInScript } from '../../protocol/bytes/crc32c.ts'

const NATIVE_FROM_BYTES = 256

type NativeCrc32c = (bytes: Uint8Array) => number

function loadNative(): NativeCrc32c | undefined {
  try {
    const native = createRequire(import.meta.url)('@node-rs/crc32') as { crc32c: NativeCrc32c }
    const check = new TextEncoder().encode('123456789')
    return native.crc32c(check) === 0xe3069283 ? native.crc32c : undefined
  } catch {
    // Optional: not there for every platform.
    return undefined
  }
}

const native = loadNative()

export const hasNativeChecksum = native !== undefined

export const logCrc32c: Crc32c = native
  ? (bytes, from = 0, to = bytes.length) =>
      to - from < NATIVE_FROM_BYTES ? crc32cInScript(bytes, from, to) : native(bytes.subarray(from, to))
  : crc32cInScript
