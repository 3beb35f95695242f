/** A relay in this process that serves one example, and its feeder in a thread where it has one. */
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { type Invocation, UsageError } from '../../cli/command.ts'
import { configureRelay, readyLine, startRelay, stopRelay, stopRequested } from '../../cli/serve.ts'
import { EXAMPLES, type Example } from './catalog.ts'

export async function example(invocation: Invocation): Promise<number> {
  const chosen = find(invocation.positionals[0])
  const { config, logger } = configureRelay(withDefaults(invocation, chosen))
  const relay = await startRelay(config, logger, fileURLToPath(new URL(`../examples/${chosen.name}`, import.meta.url)))
  await invocation.output.write(readyLine(relay, config))
  const feeder = chosen.feeder && startFeeder(chosen.feeder, relay.websocket.url)
  const failure = await Promise.race([stopRequested(invocation.signal), ...(feeder ? [feeder.failed] : [])])
  if (feeder) await feeder.stop()
  const code = await stopRelay(relay, config, logger)
  if (failure) throw failure
  return code
}

function find(name: string | undefined): Example {
  const found = EXAMPLES.find((each) => each.name === name)
  if (!found) throw new UsageError(`there is no example '${name}'; use ${EXAMPLES.map((each) => each.name).join(', ')}`)
  return found
}

function withDefaults(invocation: Invocation, { name, httpPort }: Example): Invocation {
  const { flags, environment } = invocation
  const isDataGiven = flags['data-dir'] ?? flags.config ?? environment.OTTLA_DATA_DIR
  const own = {
    ...(!isDataGiven && { data: `example-data/${name}` }),
    ...(!environment.OTTLA_HTTP_PORT && { 'http-port': String(httpPort) }),
  }
  return { ...invocation, flags: { ...own, ...flags } }
}

function startFeeder(module: string, url: string) {
  const worker = new Worker(new URL(`./${module}.mjs`, import.meta.url), { workerData: { url } })
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  return {
    failed: new Promise<Error>((resolve) => worker.once('error', resolve)),
    async stop() {
      worker.postMessage('stop')
      await exited
    },
  }
}
