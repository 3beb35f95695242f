/**
 * The demo: a relay in this thread, the feed in another.
 *
 * Invariant: whatever ends it, the feed is told first and what it sent is committed before the relay closes.
 */

import { Worker } from 'node:worker_threads'
import { type Invocation, numberFlag, switchFlag, textFlag, UsageError } from '../../cli/command.ts'
import { configureRelay, readyLine, startRelay, stopRelay, stopRequested } from '../../cli/serve.ts'
import { relayOptionKeys, relayOptionTable } from '../../server/config.ts'
import type { FeederMessage, FeederOptions } from './feeder.ts'
import { parseSpeed } from './pace.ts'

const DEFAULT_SPEED = '1200'

export async function demo(invocation: Invocation): Promise<number> {
  const { output, signal } = invocation
  const feed = feedOptions(invocation)
  const { config, logger } = configureRelay(serveInvocation(invocation))
  const relay = await startRelay(config, logger)
  await output.write(readyLine(relay, config))
  const feeder = startFeeder({ ...feed, url: relay.websocket.url }, (message) => show(message, feed, invocation))
  const failure = await Promise.race([stopRequested(signal), feeder.failed])
  await feeder.stop()
  const code = await stopRelay(relay, config, logger)
  if (failure) throw failure
  return code
}

function feedOptions(invocation: Invocation): Omit<FeederOptions, 'url'> {
  try {
    return {
      topic: textFlag(invocation, 'topic') ?? 'flights',
      partitionCount: numberFlag(invocation, 'partitions', { min: 1, max: 1000 }) ?? 3,
      speed: parseSpeed(textFlag(invocation, 'speed') ?? DEFAULT_SPEED),
      loop: switchFlag(invocation, 'loop'),
    }
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message)
    throw error
  }
}

/** The same call with the relay's own flags only. */
function serveInvocation(invocation: Invocation): Invocation {
  const known = new Set([
    'data',
    'config',
    'topic-default',
    ...relayOptionKeys.map((key) => relayOptionTable[key].name),
  ])
  const flags = Object.fromEntries(Object.entries(invocation.flags).filter(([name]) => known.has(name)))
  return { ...invocation, flags }
}

function startFeeder(options: FeederOptions, tell: (message: FeederMessage) => void) {
  const worker = new Worker(new URL('./feeder.mjs', import.meta.url), { workerData: options })
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  const failed = new Promise<Error>((resolve) => {
    worker.on('error', resolve)
    worker.on('message', (message: FeederMessage) => {
      tell(message)
      if (message.type === 'failed') resolve(new Error(`the feed failed: ${message.message}`))
    })
  })
  return {
    failed,
    async stop() {
      worker.postMessage('stop')
      await exited
    },
  }
}

function show(
  message: FeederMessage,
  { speed, topic }: Omit<FeederOptions, 'url'>,
  { output, json }: Invocation,
): void {
  if (json) return output.note(JSON.stringify({ event: `feed-${message.type}`, ...message }))
  const pace = speed === Number.POSITIVE_INFINITY ? 'as fast as possible' : `${speed} times as fast as in 2001`
  switch (message.type) {
    case 'started':
      output.note(`Replaying flights into ${topic}, ${pace}: ${message.row} of ${message.count} are there already`)
      break
    case 'committed':
      output.progress(`${message.row} flights`)
      break
    case 'finished':
      output.note(`${message.row} flights are in the log`)
      break
    case 'failed':
      break
  }
}
