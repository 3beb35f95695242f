/**
 * Apache Kafka as the other contender, and Kafka's own load tools, which drive both. Jars come from Maven Central by
 * `scripts/setup-interop.sh all`.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createTopics } from '../../protocol/messages/topics.ts'
import { kafkaClassPath, startApacheKafka } from '../../test/support/apache-kafka.ts'
import { KafkaWire } from '../../test/support/kafka-wire.ts'
import { startChild } from './child.ts'
import { ROOT, residentKib } from './machine.ts'
import { startRelay } from './servers.ts'

export interface Broker {
  readonly pid: number
  readonly address: string
  /** From the start of the process until it answered a client. */
  readonly servingMs: number
  stop(): Promise<void>
}

const SETTLE_MS = 500
const TOOL_MS_MAX = 300_000
const TICKS_PER_S = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

export async function startKafka(settings: Readonly<Record<string, string | number>> = {}): Promise<Broker> {
  if (!existsSync(kafkaClassPath(ROOT).slice(0, -2))) throw new Error('no jars: run scripts/setup-interop.sh all')
  const kafka = await startApacheKafka({ root: ROOT, heap: '1g', settings })
  return { pid: kafka.pid, address: kafka.address, servingMs: kafka.startedInMs, stop: kafka.stop }
}

export async function startRelayForKafka(directory: string): Promise<Broker> {
  const { pid, kafkaPort, startedNs, stop } = await startRelay(directory, ['--kafka-port', '0'])
  const address = `127.0.0.1:${kafkaPort}`
  await KafkaWire.brokersAt(address)
  return { pid, address, servingMs: Number(process.hrtime.bigint() - startedNs) / 1e6, stop: () => stop() }
}

export async function makeTopic(broker: Broker, name: string, partitions: number): Promise<void> {
  const wire = await KafkaWire.open(broker.address)
  try {
    const { topics } = await wire.call(createTopics, {
      topics: [{ name, numPartitions: partitions, replicationFactor: 1, assignments: [], configs: [] }],
      validateOnly: false,
    })
    if (topics[0]!.errorCode !== 0) throw new Error(`${name} was not made: ${topics[0]!.errorMessage}`)
  } finally {
    wire.close()
  }
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
}

/** What a program printed, and what the broker and everybody else spent meanwhile. */
export interface ToolRun {
  output: string
  wallS: number
  brokerCpuS: number
  toolCpuS: number
  othersCores: number
}

export function javaTool(broker: Broker, main: string, args: readonly string[]): Promise<ToolRun> {
  return measured(broker, 'java', ['-cp', kafkaClassPath(ROOT), '-Xmx1g', main, ...args])
}

export async function measured(broker: Broker, command: string, args: readonly string[]): Promise<ToolRun> {
  const [cpuBefore, idleBefore, startedAt] = [cpuSeconds(broker.pid), machineBusySeconds(), performance.now()]
  const child = startChild('/bin/sh', ['-c', '"$@" 2>&1; code=$?; times; exit $code', 'sh', command, ...args])
  const code = await child.ended(TOOL_MS_MAX)
  const wallS = (performance.now() - startedAt) / 1000
  const brokerCpuS = cpuSeconds(broker.pid) - cpuBefore
  const output = child.output()
  if (code !== 0) throw new Error(`${command} ended with ${code}:\n${output}`)
  const toolCpuS = childrenCpuSeconds(output)
  const othersCores = (machineBusySeconds() - idleBefore - brokerCpuS - toolCpuS) / wallS
  return { output, wallS, brokerCpuS, toolCpuS, othersCores }
}

/** Resident memory in MiB. */
export const residentMib = (broker: Broker) => residentKib(broker.pid) / 1024

/** The shell's `times`: the last line is of its children, "0m1.25s 0m0.33s". */
function childrenCpuSeconds(output: string): number {
  const parts = [
    ...output
      .trimEnd()
      .split('\n')
      .at(-1)!
      .matchAll(/(\d+)m([\d.]+)s/g),
  ]
  return parts.reduce((total, [, minutes, seconds]) => total + Number(minutes) * 60 + Number(seconds), 0)
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S
}

function machineBusySeconds(): number {
  const [user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]!
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number) as number[]
  return (user! + nice! + system! + irq! + softirq!) / TICKS_PER_S
}

export const kafkaPrograms = join(ROOT, 'bench/kafka')
