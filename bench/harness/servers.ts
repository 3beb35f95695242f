/** The servers under test, each on ports that the system chose, with their data in a folder of the caller's. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, startChild } from './child.ts'
import { ROOT } from './machine.ts'

export interface Server {
  readonly pid: number
  /** Of the WebSocket door. */
  readonly port: number
  /** Of the Kafka door, while it is open. */
  readonly kafkaPort?: number
  readonly startedNs: bigint
  /** `SIGKILL` leaves the data as a crash would. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

const READY_WITHIN_MS = 30_000
/** OTTLA_PROGRAM: another build, to compare two. */
const RELAY_PROGRAM = process.env.OTTLA_PROGRAM ?? join(ROOT, 'dist/cli/ottla.js')

function portOf(url: string): number {
  return Number(url.match(/:(\d+)\/?$/)?.[1])
}

async function listening(child: Child, wanted: RegExp): Promise<Server> {
  try {
    const line = await child.line((candidate) => wanted.test(candidate), READY_WITHIN_MS)
    const kafkaPort = line.match(/"kafka":"[^"]*:(\d+)"/)?.[1]
    return {
      pid: child.pid,
      port: portOf(line.match(wanted)![1]!),
      ...(kafkaPort === undefined ? {} : { kafkaPort: Number(kafkaPort) }),
      startedNs: child.startedNs,
      stop: child.stop,
    }
  } catch (error) {
    await child.stop('SIGKILL')
    throw error
  }
}

export function startRelay(directory: string, options: string[] = []): Promise<Server> {
  if (!existsSync(RELAY_PROGRAM)) throw new Error(`${RELAY_PROGRAM} does not exist: run npm run build`)
  const args = [RELAY_PROGRAM, 'serve', '--http-port', '0', '--log-format', 'json', '--data', join(directory, 'ottla')]
  const child = startChild(process.execPath, [...args, ...options], { NODE_ENV: 'production' })
  return listening(child, /"event":"ready".*"websocket":"(ws:\/\/[^"/]+\/?)[^"]*"/)
}

/** Defaults except the ports; the log goes to standard error, where the chosen port is read. */
export async function startNats(directory: string, options: { jetstream?: boolean } = {}): Promise<Server> {
  const config = join(directory, 'nats.conf')
  const store = options.jetstream ? `jetstream { store_dir: "${join(directory, 'nats')}" }` : ''
  mkdirSync(directory, { recursive: true })
  writeFileSync(config, `host: 127.0.0.1\nport: -1\nwebsocket { host: 127.0.0.1, port: -1, no_tls: true }\n${store}\n`)
  const child = startChild('nats-server', ['-c', config])
  const server = await listening(child, /Listening for websocket clients on (ws:\/\/[\d.]+:\d+)/)
  await child.line((line) => line.includes('Server is ready'), READY_WITHIN_MS)
  return server
}

export async function withServer<T>(server: Promise<Server>, work: (server: Server) => Promise<T>): Promise<T> {
  const running = await server
  try {
    return await work(running)
  } finally {
    await running.stop()
  }
}
