/** A member of a group by librdkafka: kcat -G. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { onTestFinished } from 'vitest'
import type { Relay } from '../../server/relay.ts'
import { HEARTBEAT_MS, hex, type LibraryMember, SESSION_MS, type SeenRecord } from './group-scenario.ts'

/** Lengths first, then the bytes: so that any byte may be in them. */
const FORMAT = '%p %o %T %K %S %h\n%k%s\n'

export async function kcatMember(relay: Relay, group: string, topic: string): Promise<LibraryMember> {
  const settings = [
    `session.timeout.ms=${SESSION_MS}`,
    `heartbeat.interval.ms=${HEARTBEAT_MS}`,
    'auto.offset.reset=earliest',
    'auto.commit.interval.ms=100',
  ].flatMap((setting) => ['-X', setting])
  const child = spawn('kcat', ['-b', relay.kafka!.address, ...settings, '-u', '-f', FORMAT, '-G', group, topic])
  onTestFinished(() => void child.kill('SIGKILL'))
  const seen: SeenRecord[] = []
  collect(child, seen)
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const close = async () => {
    child.kill('SIGTERM')
    await exited
  }
  return { seen, close }
}

function collect(child: ChildProcessWithoutNullStreams, seen: SeenRecord[]): void {
  let rest = Buffer.alloc(0)
  child.stderr.resume()
  child.stdout.on('data', (piece: Buffer) => {
    rest = Buffer.concat([rest, piece])
    for (let taken = takeRecord(rest); taken; taken = takeRecord(rest)) {
      seen.push(taken.record)
      rest = rest.subarray(taken.sizeBytes)
    }
  })
}

function takeRecord(from: Buffer): { record: SeenRecord; sizeBytes: number } | undefined {
  const lineEnd = from.indexOf('\n')
  if (lineEnd < 0) return undefined
  const [partition, offset, timestamp, keySize, valueSize, header] = from.subarray(0, lineEnd).toString().split(' ')
  const keyAt = lineEnd + 1
  const valueAt = keyAt + Math.max(0, Number(keySize))
  const end = valueAt + Math.max(0, Number(valueSize))
  if (from.length < end + 1) return undefined
  const record: SeenRecord = {
    ...{ partition: Number(partition), offset: Number(offset), timestamp: Number(timestamp) },
    key: hex(from.subarray(keyAt, valueAt)),
    value: Number(valueSize) < 0 ? null : hex(from.subarray(valueAt, end)),
    headers: { round: hex(Buffer.from(header!.slice('round='.length)))! },
  }
  return { record, sizeBytes: end + 1 }
}
