/**
 * A real Apache Kafka of one node (KRaft, no replication) on free ports of 127.0.0.1, its data in a temporary folder: what
 * the relay is compared with. Needs a JDK and `scripts/setup-interop.sh all`, which brings the jars from Maven Central.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { KafkaWire } from './kafka-wire.ts'

const run = promisify(execFile)

export const KAFKA_VERSION = '4.3.1'
const START_MS_MAX = 60_000
const STOP_MS_MAX = 20_000
const OUTPUT_KEPT = 8_000

export interface ApacheKafka {
  readonly address: string
  /** For further brokers of the same cluster. */
  readonly controllerPort: number
  readonly pid: number
  /** From the start of the process to its first line that says it serves. */
  readonly startedInMs: number
  /** Idempotent. The folder goes as well. */
  stop(): Promise<void>
}

export interface ApacheKafkaOptions {
  /** On top of what one node needs. */
  settings?: Readonly<Record<string, string | number>>
  /** A broker, by this id, of the cluster whose controller is at this port, instead of a cluster of its own. */
  joins?: { controllerPort: number; brokerId: number }
  /** Default 512m. */
  heap?: string
  /** Folder with the checkout's .cache; default: where the process was started. */
  root?: string
}

/** The class path of Kafka's server and tools. */
export function kafkaClassPath(root = process.cwd(), version = KAFKA_VERSION): string {
  return join(resolve(root), `.cache/interop/kafka-${version}`, '*')
}

export async function startApacheKafka(options: ApacheKafkaOptions = {}): Promise<ApacheKafka> {
  const { settings = {}, heap = '512m', root, joins } = options
  const folder = await mkdtemp(join(tmpdir(), 'ottla-kafka-'))
  const [port, controllerPort] = [await freePort(), joins?.controllerPort ?? (await freePort())]
  const properties = join(folder, 'server.properties')
  await writeFile(
    properties,
    propertiesText({
      ...oneNode(folder, port, controllerPort),
      ...(joins && brokerOnly(port, joins.brokerId)),
      ...settings,
    }),
  )
  const java = ['-cp', kafkaClassPath(root)]
  await run('java', [...java, 'kafka.tools.StorageTool', 'format', '-t', clusterId(), '-c', properties])
  const startedAtMs = performance.now()
  const server = spawn('java', [`-Xmx${heap}`, `-Xms${heap}`, ...java, 'kafka.Kafka', properties], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const endWithUs = () => void server.kill('SIGKILL')
  process.once('exit', endWithUs)
  const output = keepOutput(server)
  const ended = new Promise<void>((done) => server.once('exit', () => done()))
  let stopping: Promise<void> | undefined
  const stop = async () => {
    process.off('exit', endWithUs)
    server.kill('SIGTERM')
    const insist = setTimeout(() => server.kill('SIGKILL'), STOP_MS_MAX)
    await ended
    clearTimeout(insist)
    await rm(folder, { recursive: true, force: true })
  }
  const broker = {
    address: `127.0.0.1:${port}`,
    controllerPort,
    pid: server.pid!,
    stop: () => {
      stopping ??= stop()
      return stopping
    },
  }
  try {
    await answersOn(port, ended, output)
  } catch (error) {
    await broker.stop()
    throw error
  }
  return { ...broker, startedInMs: performance.now() - startedAtMs }
}

const oneNode = (folder: string, port: number, controllerPort: number) => ({
  'process.roles': 'broker,controller',
  'node.id': 1,
  'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
  listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
  'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
  'controller.listener.names': 'CONTROLLER',
  'log.dirs': join(folder, 'data'),
  'offsets.topic.replication.factor': 1,
  'offsets.topic.num.partitions': 1,
  'transaction.state.log.replication.factor': 1,
  'transaction.state.log.min.isr': 1,
  'transaction.state.log.num.partitions': 1,
  'share.coordinator.state.topic.replication.factor': 1,
  'share.coordinator.state.topic.min.isr': 1,
  'share.coordinator.state.topic.num.partitions': 1,
  'group.initial.rebalance.delay.ms': 0,
})

const brokerOnly = (port: number, brokerId: number) => ({
  'process.roles': 'broker',
  'node.id': brokerId,
  listeners: `PLAINTEXT://127.0.0.1:${port}`,
})

function propertiesText(settings: Readonly<Record<string, string | number>>): string {
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

/** Any 16 bytes; the tests mask it. */
function clusterId(): string {
  return Buffer.from(`ottla-${process.pid}`.padEnd(16, '.').slice(0, 16)).toString('base64url')
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  await new Promise((done) => server.close(done))
  return port
}

function keepOutput(server: ChildProcess): () => string {
  let kept = ''
  for (const stream of [server.stdout, server.stderr])
    stream?.on('data', (chunk: Buffer) => {
      kept = (kept + chunk).slice(-OUTPUT_KEPT)
    })
  return () => kept
}

/** Kafka listens before it serves; it serves when it answers for its topics. kcat would do, but is not everywhere. */
async function answersOn(port: number, ended: Promise<void>, output: () => string): Promise<void> {
  let isOver = false
  void ended.then(() => {
    isOver = true
  })
  const deadline = performance.now() + START_MS_MAX
  while (!isOver && performance.now() < deadline) {
    const brokers = await KafkaWire.brokersAt(`127.0.0.1:${port}`).catch(() => 0)
    if (brokers > 0) return
    await new Promise((done) => setTimeout(done, 25))
  }
  throw new Error(`Apache Kafka did not begin to serve on port ${port}:\n${output()}`)
}
