/**
 * `ottla serve`: a relay in this process until it is told to stop.
 *
 * Standard output carries exactly one line, when connections are accepted; reports go to standard error, so that
 * a program that waits for the line never has to look for it.
 */

import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../protocol/lib/clock.ts'
import { type IgnoredKey, type RelayConfig, resolveRelayConfig } from '../server/config.ts'
import { createLogger, type Logger } from '../server/logger.ts'
import { createRelay, type Relay } from '../server/relay.ts'
import { tuneV8 } from '../server/v8-tuning.ts'
import { EXIT_FAILURE, EXIT_OK, type Invocation, textFlag, UsageError } from './command.ts'

export async function serve(invocation: Invocation): Promise<number> {
  const { config, logger } = configureRelay(invocation)
  const relay = await startRelay(config, logger)
  await invocation.output.write(readyLine(relay, config))
  await stopRequested(invocation.signal)
  return stopRelay(relay, config, logger)
}

/** Reads flags, environment and file, and reports keys of the file that mean nothing here. */
export function configureRelay(invocation: Invocation): { config: RelayConfig; logger: Logger } {
  const { config, ignored } = resolveRelayConfig({
    flags: relayFlags(invocation),
    environment: invocation.environment,
    file: configFile(invocation),
  })
  const logger = createLogger({
    format: config.logFormat,
    level: config.logLevel,
    clock: systemClock,
    write: (line) => process.stderr.write(line),
  })
  reportIgnored(ignored, logger)
  return { config, logger }
}

/** With the relay's own page, or another folder of pages. */
export async function startRelay(config: RelayConfig, logger: Logger, webDir = builtPageDir()): Promise<Relay> {
  const relay = await createRelay({ config, logger, webDir })
  // Not before: what runs once, at the start, is not worth compiling.
  tuneV8()
  return relay
}

/** Resolves to the exit code: a stop that hangs is forced after `shutdownTimeoutMs`, and says so. */
export async function stopRelay(relay: Relay, config: RelayConfig, logger: Logger): Promise<number> {
  const startedMs = systemClock.monotonic()
  let outcome = EXIT_OK
  const forced = new Promise<void>((resolve) => {
    systemClock.setTimer(config.shutdownTimeoutMs, () => {
      outcome = EXIT_FAILURE
      logger.error('shutdown-forced', { afterMs: config.shutdownTimeoutMs })
      resolve()
    })
  })
  await Promise.race([relay.close(), forced])
  if (outcome === EXIT_OK) logger.info('stopped', { durationMs: Math.round(systemClock.monotonic() - startedMs) })
  return outcome
}

export function stopRequested(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** The one line on standard output. In JSON its fields are a contract with programs. */
export function readyLine(relay: Relay, config: RelayConfig): string {
  const { http, websocket, kafka, kafkaMissing, dataDir } = relay
  if (config.logFormat === 'json') {
    const ready = { event: 'ready', http: http.url, websocket: websocket.url, kafka: kafka?.address, dataDir }
    return `${JSON.stringify(ready)}\n`
  }
  const kafkaClients = kafka
    ? `, Kafka clients ${kafka.address}`
    : kafkaMissing
      ? `, no Kafka clients (${kafkaMissing})`
      : ''
  const doors = `page ${http.url}, clients ${websocket.url}${kafkaClients}`
  return `Ottla is ready: ${doors}, data in ${dataDir}. Ctrl-C stops.\n`
}

function relayFlags({ flags, json }: Invocation): Record<string, unknown> {
  const {
    help: _help,
    json: _json,
    config: _config,
    data,
    'data-dir': dataDir,
    'topic-default': _topic,
    ...rest
  } = flags
  return {
    ...rest,
    'data-dir': data ?? dataDir,
    ...(json ? { 'log-format': 'json' } : {}),
    ...topicDefaultFlags(flags['topic-default']),
  }
}

function topicDefaultFlags(given: Invocation['flags'][string]): Record<string, string> {
  const pairs = Array.isArray(given) ? (given as string[]) : []
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at <= 0) throw new UsageError(`--topic-default: '${pair}' is not allowed; use NAME=VALUE`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

function configFile(invocation: Invocation): { path: string; content: string } | undefined {
  const path = textFlag(invocation, 'config') ?? invocation.environment.OTTLA_CONFIG
  return path ? { path, content: readFileSync(path, 'utf8') } : undefined
}

/** One line for each source that holds keys without meaning here. */
function reportIgnored(ignored: readonly IgnoredKey[], logger: Logger): void {
  for (const source of new Set(ignored.map((each) => each.source))) {
    const keys = ignored
      .filter((each) => each.source === source)
      .map(({ key, nearest }) => (nearest ? `${key} (did you mean ${nearest}?)` : key))
    logger.warn('configuration-ignored', { source, keys: keys.join(', ') })
  }
}

/** Beside the program when built; absent in a build without a page. */
function builtPageDir(): string | undefined {
  const dir = fileURLToPath(new URL('../web', import.meta.url))
  return existsSync(`${dir}/index.html`) ? dir : undefined
}
