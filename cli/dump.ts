/** `ottla dump`: a line for each batch, and for each stretch of bytes that is none. */

import { standardCodecs } from '../protocol/codecs/standard.ts'
import { CODEC_NAMES, inflatedBytesMax } from '../protocol/compression.ts'
import {
  BATCH_HEADER_BYTES,
  CONTROL_FLAG,
  codecOf,
  lastOffsetOf,
  TRANSACTIONAL_FLAG,
} from '../protocol/record-batch.ts'
import { decodeRecords, type RawRecord } from '../protocol/records.ts'
import { topicNameOfFolder } from '../server/engine/topic-folders.ts'
import { type DumpedBatch, type DumpedDamage, dump as dumpLog } from '../server/log/dump.ts'
import { nodeFiles } from '../server/storage/node-files.ts'
import { EXIT_FAILURE, EXIT_OK, type Invocation, numberFlag, switchFlag, textFlag, UsageError } from './command.ts'
import { jsonRecord, timeText } from './record-format.ts'

export async function dump(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const showsRecords = switchFlag(invocation, 'records')
  const limit = numberFlag(invocation, 'limit', { min: 1 }) ?? Number.POSITIVE_INFINITY
  const path = await logPath(invocation)
  const printer = json ? jsonBatch : batchLine
  let [batches, damaged, file] = [0, 0, '']
  const [fromOffset, toOffset] = [numberFlag(invocation, 'from', { min: 0 }), numberFlag(invocation, 'to', { min: 0 })]
  const range = { ...(fromOffset === undefined ? {} : { fromOffset }), ...(toOffset === undefined ? {} : { toOffset }) }
  for await (const found of dumpLog(nodeFiles, path, range)) {
    if (invocation.signal.aborted || batches === limit) break
    if (!json && found.file !== file) await output.line(`${found.file}:`)
    file = found.file
    if (found.kind === 'damage') {
      if (found.reason !== 'zero') damaged++
      await output.line(json ? JSON.stringify(found) : damageLine(found))
      continue
    }
    batches++
    const records = showsRecords ? await recordsOf(found) : undefined
    await output.line(printer(found, records))
  }
  if (file === '' && !json) output.note(`No batches in ${path}.`)
  return damaged === 0 ? EXIT_OK : EXIT_FAILURE
}

async function logPath(invocation: Invocation): Promise<string> {
  const path = invocation.positionals[0]!.replace(/(.)\/+$/, '$1')
  const topic = textFlag(invocation, 'topic')
  if (topic === undefined) return path
  const partition = numberFlag(invocation, 'partition', { min: 0 }) ?? 0
  const folders = (await nodeFiles.list(`${path}/topics`)).filter((name) => topicNameOfFolder(name) === topic)
  if (folders.length === 0) throw new UsageError(`there is no topic ${topic} in ${path}`)
  if (folders.length > 1) throw new UsageError(`several folders belong to a topic ${topic}: ${folders.join(', ')}`)
  return `${path}/topics/${folders[0]}/${partition}`
}

const codecs = standardCodecs()

/** The records, or why they cannot be read. */
async function recordsOf({ header, bytes }: DumpedBatch): Promise<RawRecord[] | string> {
  try {
    const block = (await bytes()).subarray(BATCH_HEADER_BYTES)
    const codec = codecOf(header)
    const inflated =
      codec === 0 ? block : await (await codecs.find(codec)).decompress(block, inflatedBytesMax(block.length))
    return [...decodeRecords(header, inflated)]
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function batchLine(batch: DumpedBatch, records: RawRecord[] | string | undefined): string {
  const { header } = batch
  const producer =
    header.producerId < 0
      ? []
      : [`producer ${header.producerId} epoch ${header.producerEpoch} sequence ${header.baseSequence}`]
  const facts = [
    `offsets ${header.baseOffset}..${lastOffsetOf(header)}`,
    `${header.recordCount} records`,
    `${header.sizeBytes} bytes at ${batch.position}`,
    CODEC_NAMES[codecOf(header)] ?? 'unknown codec',
    timeText(header.maxTimestamp),
    `leader epoch ${header.leaderEpoch}`,
    ...producer,
    ...flagsOf(batch),
  ]
  const lines = typeof records === 'string' ? [`unreadable: ${records}`] : (records ?? []).map(recordLine)
  return [`  ${facts.join(', ')}`, ...lines.map((line) => `    ${line}`)].join('\n')
}

function flagsOf({ header }: DumpedBatch): string[] {
  const { attributes } = header
  return [
    ...(attributes & TRANSACTIONAL_FLAG ? ['transactional'] : []),
    ...(attributes & CONTROL_FLAG ? ['control'] : []),
  ]
}

function recordLine({ offset, timestamp, key, value, headers }: RawRecord): string {
  const shown = [`key ${quoted(key)}`, `value ${quoted(value)}`]
  const named = headers.map((header) => `${JSON.stringify(header.key)}=${quoted(header.value)}`)
  const attached = named.length > 0 ? [`headers ${named.join(' ')}`] : []
  return [String(offset), timeText(timestamp), ...shown, ...attached].join('  ')
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** As JSON text, so that nothing in a record can move a terminal's cursor; bytes that are no text as hex. */
function quoted(bytes: Uint8Array | null): string {
  if (bytes === null) return 'null'
  try {
    return JSON.stringify(utf8.decode(bytes))
  } catch {
    return `0x${Buffer.from(bytes).toString('hex')}`
  }
}

function damageLine({ position, sizeBytes, reason }: DumpedDamage): string {
  const what = reason === 'zero' ? 'zeros, room that was never written' : `no batch (${reason})`
  return `  ${sizeBytes} bytes at ${position}: ${what}`
}

function jsonBatch({ file, position, header }: DumpedBatch, records: RawRecord[] | string | undefined): string {
  const { attributes, ...fields } = header
  const batch = {
    ...{ kind: 'batch', file, position, ...fields, lastOffset: lastOffsetOf(header) },
    ...{ codec: CODEC_NAMES[codecOf(header)], attributes },
    isTransactional: (attributes & TRANSACTIONAL_FLAG) !== 0,
    isControl: (attributes & CONTROL_FLAG) !== 0,
  }
  if (records === undefined) return JSON.stringify(batch)
  if (typeof records === 'string') return JSON.stringify({ ...batch, unreadable: records })
  const shown = records.map((record) => jsonRecord({ topic: '', partition: 0, ...record }))
  return JSON.stringify({ ...batch, records: shown.map(({ topic, partition, ...rest }) => rest) })
}
