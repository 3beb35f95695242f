/**
 * The relay's Kafka door beside Apache Kafka, driven by Kafka's own tools and by librdkafka. The relay is on disk before it
 * acknowledges, as always; Kafka is measured as it comes (no fsync) and with an fsync for each batch.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Broker,
  javaTool,
  kafkaPrograms,
  makeTopic,
  measured,
  residentMib,
  type ToolRun,
} from '../harness/kafka.ts'
import type { Aim, Column, Metrics, Scenario } from '../harness/scenario.ts'
import { contendersOf, KAFKA, KAFKA_FSYNC, OTTLA, type Work } from './kafka-contenders.ts'

const cpuColumns: Column[] = [
  { metric: 'brokerCpuSPerM', title: 'broker CPU-s per million', digits: 3 },
  { metric: 'toolCpuSPerM', title: 'tool CPU-s per million', digits: 2 },
  { metric: 'residentMib', title: 'broker MiB after', digits: 0 },
  { metric: 'othersCores', title: "others' cores", digits: 2 },
]

function costs({ brokerCpuS, toolCpuS, othersCores }: ToolRun, records: number): Metrics {
  const millions = records / 1e6
  return { brokerCpuSPerM: brokerCpuS / millions, toolCpuSPerM: toolCpuS / millions, othersCores }
}

// --- producing ----------------------------------------------------------------------------------------------------

interface ProduceShape {
  sizeBytes: 100 | 1024
  partitions: 1 | 6
  batches: 'default' | 'tuned'
}

const BATCHES = {
  default: { text: '16 KiB batches', properties: [] },
  tuned: { text: '256 KiB batches', properties: ['batch.size=262144', 'linger.ms=5'] },
}
/** About 4 s of the slowest contender each. */
const RECORDS = { 100: 3_000_000, 1024: 600_000 }

function producePerf(broker: Broker, topic: string, shape: ProduceShape, records: number, warmUp: number) {
  return javaTool(broker, 'org.apache.kafka.tools.ProducerPerformance', [
    ...['--bootstrap-server', broker.address, '--topic', topic, '--throughput', '-1'],
    ...['--record-size', String(shape.sizeBytes), '--num-records', String(records)],
    ...['--warmup-records', String(warmUp)],
    ...['--command-property', 'acks=all', ...BATCHES[shape.batches].properties],
  ])
}

/** The tool's last summary: of the records after the warm-up. */
function summaryOf(output: string): Metrics {
  const found = [
    ...output.matchAll(/([\d.]+) records\/sec \(([\d.]+) MB\/sec\).*?([\d.]+) ms 50th.*?([\d.]+) ms 99th/g),
  ]
  const last = found.at(-1)
  if (!last) throw new Error(`no summary:\n${output}`)
  const [recordsPerS, mbPerS, p50Ms, p99Ms] = last.slice(1).map(Number)
  return { recordsPerS: recordsPerS!, mbPerS: mbPerS!, p50Ms: p50Ms!, p99Ms: p99Ms! }
}

function produceScenario(shape: ProduceShape): Scenario {
  const { sizeBytes, partitions, batches } = shape
  const work: Work = async (broker, { quick }) => {
    const records = RECORDS[sizeBytes] / (quick ? 10 : 1)
    const warmUp = records / 3
    await makeTopic(broker, 'discarded', partitions)
    await producePerf(broker, 'discarded', shape, records, 1)
    await makeTopic(broker, 'measured', partitions)
    const run = await producePerf(broker, 'measured', shape, records + warmUp, warmUp)
    return { ...summaryOf(run.output), ...costs(run, records + warmUp), residentMib: residentMib(broker) }
  }
  const plural = partitions === 1 ? '1 partition' : `${partitions} partitions`
  return {
    name: `kafka-produce-${sizeBytes}-p${partitions}-${batches}`,
    title: `Kafka's producer: ${sizeBytes} B, ${plural}, ${BATCHES[batches].text}`,
    method:
      "kafka-producer-perf-test of Kafka 4.3.1, acks=all, as fast as it goes, after a discarded run against the same broker. Kafka's heap is 1 GiB.",
    columns: [
      { metric: 'recordsPerS', title: 'records/s', digits: 0 },
      { metric: 'mbPerS', title: 'MiB/s', digits: 0 },
      { metric: 'p50Ms', title: 'p50 ms', digits: 1 },
      { metric: 'p99Ms', title: 'p99 ms', digits: 1 },
      ...cpuColumns,
    ],
    contenders: contendersOf(work, true),
    aims: [
      { text: "records/s no less than Kafka's without fsync", metric: 'recordsPerS', of: OTTLA, to: KAFKA, atLeast: 1 },
      cpuAim(batches === 'tuned' ? 0.5 : 0.6),
      {
        text: "records/s no less than Kafka's with fsync",
        metric: 'recordsPerS',
        of: OTTLA,
        to: KAFKA_FSYNC,
        atLeast: 1,
      },
      { text: "p99 at most half of Kafka's with fsync", metric: 'p99Ms', of: OTTLA, to: KAFKA_FSYNC, atMost: 0.5 },
      { text: "memory after load under 0.15 of Kafka's", metric: 'residentMib', of: OTTLA, to: KAFKA, below: 0.15 },
    ],
  }
}

const cpuAim = (atMost: number): Aim => ({
  text: `broker CPU per record at most ${atMost} of Kafka's`,
  metric: 'brokerCpuSPerM',
  of: OTTLA,
  to: KAFKA,
  atMost,
})

const produceScenarios = ([100, 1024] as const).flatMap((sizeBytes) =>
  ([1, 6] as const).flatMap((partitions) =>
    (['default', 'tuned'] as const).map((batches) => produceScenario({ sizeBytes, partitions, batches })),
  ),
)

// --- consuming ----------------------------------------------------------------------------------------------------

function consumeScenario(sizeBytes: 100 | 1024): Scenario {
  const work: Work = async (broker, { quick }) => {
    const records = (RECORDS[sizeBytes] * (sizeBytes === 100 ? 2 : 3)) / (quick ? 10 : 1)
    await makeTopic(broker, 'filled', 1)
    await producePerf(broker, 'filled', { sizeBytes, partitions: 1, batches: 'tuned' }, records, 1)
    const consume = () =>
      javaTool(broker, 'org.apache.kafka.tools.ConsumerPerformance', [
        ...['--bootstrap-server', broker.address, '--topic', 'filled', '--hide-header'],
        ...['--num-records', String(records), '--timeout', '60000'],
      ])
    await consume()
    const run = await consume()
    // start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s
    const fields =
      run.output
        .split('\n')
        .find((line) => line.split(', ').length >= 10)
        ?.split(', ') ?? []
    return {
      ...{ mbPerS: Number(fields[8]), recordsPerS: Number(fields[9]) },
      ...{ ...costs(run, records), residentMib: residentMib(broker) },
    }
  }
  return {
    name: `kafka-consume-${sizeBytes}`,
    title: `Kafka's consumer: ${sizeBytes} B, 1 partition`,
    method:
      'kafka-consumer-perf-test of Kafka 4.3.1 from the beginning, page cache warm, the second of two runs against the same broker; the time of joining the group is left out.',
    columns: [
      { metric: 'recordsPerS', title: 'records/s', digits: 0 },
      { metric: 'mbPerS', title: 'MiB/s', digits: 0 },
      ...cpuColumns,
    ],
    contenders: contendersOf(work, false),
    aims: [{ text: "no slower than Kafka's", metric: 'recordsPerS', of: OTTLA, to: KAFKA, atLeast: 1 }, cpuAim(0.8)],
  }
}

// --- end to end, librdkafka, start --------------------------------------------------------------------------------

const endToEnd: Scenario = {
  name: 'kafka-end-to-end',
  title: 'End to end at 1,000 records/s through Kafka clients',
  method:
    'One JVM writes 100 B records (linger 0, acks=all) and reads them back; latency runs from the instant a record was due. 20 s, of which the first 8 are not counted.',
  columns: [
    { metric: 'p50Ms', title: 'p50 ms', digits: 2 },
    { metric: 'p99Ms', title: 'p99 ms', digits: 2 },
    { metric: 'maxMs', title: 'max ms', digits: 1 },
    { metric: 'brokerCores', title: 'broker cores', digits: 3 },
    { metric: 'othersCores', title: "others' cores", digits: 2 },
  ],
  contenders: contendersOf(async (broker, { quick }) => {
    await makeTopic(broker, 'due', 1)
    const [seconds, uncounted] = quick ? [4, 2] : [20, 8]
    const program = join(kafkaPrograms, 'EndToEnd.java')
    const run = await javaTool(broker, program, [
      broker.address,
      'due',
      '1000',
      String(seconds),
      String(uncounted),
      '100',
    ])
    const report = run.output.split('\n').find((line) => line.startsWith('{'))
    if (!report) throw new Error(run.output)
    const metrics = JSON.parse(report) as Metrics
    return { ...metrics, brokerCores: run.brokerCpuS / run.wallS, othersCores: run.othersCores }
  }, true),
  aims: [{ text: "p99 at most half of Kafka's with fsync", metric: 'p99Ms', of: OTTLA, to: KAFKA_FSYNC, atMost: 0.5 }],
}

const librdkafka: Scenario = {
  name: 'kafka-librdkafka',
  title: 'One librdkafka producer: 100 B, 1 partition',
  method: 'kcat writes a file of lines, acks=all, its default batches; wall time of the whole program.',
  columns: [{ metric: 'recordsPerS', title: 'records/s', digits: 0 }, ...cpuColumns],
  contenders: contendersOf(async (broker, { quick, directory }) => {
    const records = quick ? 100_000 : 2_000_000
    const file = join(directory, 'lines')
    writeFileSync(file, `${'x'.repeat(100)}\n`.repeat(records))
    await makeTopic(broker, 'lines', 1)
    const write = () =>
      measured(broker, 'kcat', [
        '-P',
        '-b',
        broker.address,
        '-t',
        'lines',
        '-p',
        '0',
        '-l',
        file,
        '-X',
        'acks=all',
        '-X',
        'queue.buffering.max.messages=1000000',
      ])
    await write()
    const run = await write()
    return { recordsPerS: records / run.wallS, ...costs(run, records), residentMib: residentMib(broker) }
  }, true),
  aims: [
    { text: "records/s no less than Kafka's without fsync", metric: 'recordsPerS', of: OTTLA, to: KAFKA, atLeast: 1 },
    cpuAim(0.6),
  ],
}

const start: Scenario = {
  name: 'kafka-start',
  title: 'From the start of the process to its first answer to a Kafka client; memory then',
  method: 'An empty data folder.',
  columns: [
    { metric: 'servingMs', title: 'serving after ms', digits: 0 },
    { metric: 'residentMib', title: 'MiB', digits: 0 },
  ],
  contenders: contendersOf(
    async (broker) => ({ servingMs: broker.servingMs, residentMib: residentMib(broker) }),
    false,
  ),
  aims: [{ text: "start under 0.1 of Kafka's", metric: 'servingMs', of: OTTLA, to: KAFKA, below: 0.1 }],
}

export const kafkaScenarios: Scenario[] = [
  ...produceScenarios,
  consumeScenario(100),
  consumeScenario(1024),
  endToEnd,
  librdkafka,
  start,
]
