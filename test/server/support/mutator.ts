/**
 * Valid frames made bad, field by field: the encoder is watched to learn where each field lies, then one to three
 * fields get a value at the edge of their type, vanish, are doubled, or the frame ends there.
 */
import type { AnyApi } from '../../../protocol/api.ts'
import { Writer } from '../../../protocol/bytes/writer.ts'
import { type Random, randomBelow } from '../../../protocol/lib/random.ts'
import type { ValidRequest } from './valid-requests.ts'

interface FieldPlace {
  at: number
  sizeBytes: number
}

/** A writer that remembers where each field begins. */
class WatchedWriter extends Writer {
  readonly places: FieldPlace[] = []

  #note(write: () => void): void {
    const at = this.length
    write()
    this.places.push({ at, sizeBytes: this.length - at })
  }
  override int8(value: number): void {
    this.#note(() => super.int8(value))
  }
  override int16(value: number): void {
    this.#note(() => super.int16(value))
  }
  override int32(value: number): void {
    this.#note(() => super.int32(value))
  }
  override int64(value: number): void {
    this.#note(() => super.int64(value))
  }
  override uvarint(value: number): void {
    this.#note(() => super.uvarint(value))
  }
  override bytes(value: Uint8Array): void {
    this.#note(() => super.bytes(value))
  }
}

export interface ValidFrame {
  api: AnyApi
  version: number
  bytes: Uint8Array
  places: readonly FieldPlace[]
}

/** Every API in every version. */
export function validFrames(requests: readonly ValidRequest[]): ValidFrame[] {
  return requests.flatMap((request) => {
    const frames: ValidFrame[] = []
    for (let version = request.api.minVersion; version <= request.api.maxVersion; version++) {
      frames.push(validFrame(request, version))
    }
    return frames
  })
}

export function validFrame({ api, body }: ValidRequest, version: number): ValidFrame {
  const writer = new WatchedWriter(256)
  writer.int16(api.key)
  writer.int16(version)
  writer.int32(7)
  writer.int16(4)
  writer.bytes(Writer.encodeUtf8('test'))
  if (version >= api.flexibleFrom) writer.uvarint(0)
  api.request.write(writer, version, body)
  return { api, version, bytes: writer.finish().slice(), places: writer.places }
}

const EDGES = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff]

export function mutated(frame: ValidFrame, random: Random): Uint8Array {
  let bytes: Uint8Array = frame.bytes.slice()
  const changes = 1 + randomBelow(random, 3)
  for (let change = 0; change < changes; change++) bytes = mutatedOnce(bytes, frame.places, random)
  return bytes
}

function mutatedOnce(bytes: Uint8Array, places: readonly FieldPlace[], random: Random): Uint8Array {
  const { at, sizeBytes } = places[randomBelow(random, places.length)]!
  const end = at + sizeBytes
  switch (randomBelow(random, 8)) {
    case 0:
      return bytes.slice(0, at)
    case 1:
      return joined(bytes.slice(0, at), bytes.slice(end))
    case 2:
      return joined(bytes.slice(0, end), bytes.slice(at))
    case 3:
      return joined(bytes.slice(0, at), random.bytes(1 + randomBelow(random, 16)), bytes.slice(at))
    case 4:
      return filled(bytes, at, end, EDGES[randomBelow(random, EDGES.length)]!)
    case 5:
      return nudged(bytes, end - 1, random.next() < 0.5 ? 1 : -1)
    case 6:
      return filled(bytes, at, Math.min(at + 1, end), EDGES[randomBelow(random, EDGES.length)]!)
    default:
      return flipped(bytes, randomBelow(random, bytes.length || 1), randomBelow(random, 8))
  }
}

function filled(bytes: Uint8Array, from: number, to: number, value: number): Uint8Array {
  return bytes.fill(value, from, to)
}

function nudged(bytes: Uint8Array, at: number, by: number): Uint8Array {
  if (at >= 0 && at < bytes.length) bytes[at] = bytes[at]! + by
  return bytes
}

function flipped(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  if (at < bytes.length) bytes[at] = bytes[at]! ^ (1 << bit)
  return bytes
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
