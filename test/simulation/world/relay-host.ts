/** The machine with the relay: starts it, kills it, cuts its power, and starts it again as a service manager would. */
import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { allowAll } from '../../../server/authorizer.ts'
import { type RelayConfig, relayConfigDefaults } from '../../../server/config.ts'
import type { LogFields, Logger } from '../../../server/logger.ts'
import { outOfService } from '../../../server/readiness.ts'
import { openRelayCore, type RelayCore } from '../../../server/relay-core.ts'
import type { PowerCutModel } from '../../../server/storage/memory-files.ts'
import { Disk } from './disk.ts'
import type { Host } from './network.ts'
import type { Process } from './process.ts'
import type { ServerSocket } from './server-socket.ts'
import type { World } from './world.ts'

const START_AGAIN_MS = 500
const ADDRESS = { host: 'relay', port: 9092 }

export type RelayState = 'down' | 'starting' | 'up' | 'stopping'

export class RelayHost {
  readonly host: Host
  readonly disk: Disk
  state: RelayState = 'down'
  /** Counts starts. */
  incarnation = 0
  core: RelayCore | undefined
  readonly #world: World
  readonly #config: RelayConfig
  #process: Process | undefined

  constructor(world: World, config: Partial<RelayConfig>) {
    this.#world = world
    this.#config = { ...relayConfigDefaults, ...config, dataDir: '/data' }
    this.host = world.host('relay')
    this.disk = new Disk(world.dice.fork('disk'), world.trace, world.probes)
  }

  get isUp(): boolean {
    return this.state === 'up'
  }

  /** Something of this relay is out of service, and only a restart brings it back. */
  get isDegraded(): boolean {
    return this.core !== undefined && outOfService(this.core.services).length > 0
  }

  start(): void {
    if (this.state !== 'down') return
    this.state = 'starting'
    const process = this.#world.process(`relay-${++this.incarnation}`, this.host)
    this.#process = process
    this.#world.trace.add(process.name, 'starts')
    openRelayCore({
      config: this.#config,
      files: this.disk.files(process),
      clock: process.clock,
      random: process.dice,
      logger: this.#logger(process),
      authorizer: allowAll,
      advertised: { http: () => ADDRESS, kafka: () => ADDRESS },
      checkpointBytes: process.dice.pick([1_500, 4_000, 20_000]),
    }).then(
      (core) => process.isAlive && this.#listen(process, core),
      (error) => process.isAlive && this.#startFailed(process, error),
    )
  }

  /** The process dies; the kernel lives on, with all that was written and not synced. */
  kill(): void {
    if (!this.#process?.isAlive) return
    this.#world.probes.reached('relay killed')
    this.#die('killed')
    this.#world.network.orphan(this.host, this.#world.dice.chance(0.5) ? 'end' : 'reset')
  }

  cutPower(model: PowerCutModel): void {
    this.#world.probes.reached(`power cut: ${model}`)
    this.#die('without power')
    this.host.isUp = false
    this.#world.network.orphan(this.host, 'nothing')
    this.disk.cut(model)
  }

  freeze(ms: number): void {
    this.#process?.freeze(ms)
  }

  /** Also when only the process is down. */
  powerUp(): void {
    if (!this.host.isUp) this.#world.network.powerUp(this.host)
    this.start()
  }

  /** As on SIGTERM; killed when it takes longer than it may. */
  stop(): void {
    const { core } = this
    const process = this.#process
    if (this.state !== 'up' || !core || !process) return
    this.#world.probes.reached('relay stopped')
    this.#world.trace.add(process.name, 'stops')
    this.state = 'stopping'
    this.host.doors.clear()
    const stopped = () => {
      if (!process.isAlive) return
      this.#die('stopped')
      this.#world.network.orphan(this.host, 'end')
    }
    core.close().then(stopped, (error) => {
      this.#world.trace.add(process.name, `did not stop cleanly: ${error}`)
      stopped()
    })
    process.after(this.#config.shutdownTimeoutMs, () => this.kill())
  }

  #die(how: string): void {
    if (!this.#process?.isAlive) return
    this.#world.trace.add(this.#process.name, how)
    this.#process.kill()
    this.core = undefined
    this.state = 'down'
  }

  #listen(process: Process, core: RelayCore): void {
    this.#world.trace.add(process.name, 'listens')
    this.state = 'up'
    this.core = core
    const { doors } = this.host
    doors.set('kafka', { process, accept: (socket) => core.kafkaDoor.accept(socket) })
    doors.set('websocket', { process, accept: (socket) => upgrade(core, socket) })
  }

  #startFailed(process: Process, error: unknown): void {
    this.#world.trace.add(process.name, `cannot start: ${error}`)
    this.#world.probes.reached('relay start failed')
    this.#die('gave up')
    this.#world.scheduler.after(START_AGAIN_MS, () => this.host.isUp && this.start())
  }

  #logger(process: Process): Logger {
    const { trace, probes } = this.#world
    const note = (level: string) => (event: string, fields?: LogFields) => {
      if (!process.isAlive) return
      if (level !== 'debug') probes.reached(`relay: ${event.replace(/\/\S+/g, '(path)').replace(/[\d.]+/g, 'N')}`)
      trace.add(process.name, `${level} ${event} ${fields ? JSON.stringify(fields) : ''}`)
      if (event === 'request failed') this.#world.fail(`a request failed: ${JSON.stringify(fields)}`)
    }
    const logger: Logger = {
      ...{ error: note('error'), warn: note('warn'), info: note('info'), debug: note('debug') },
      child: (common) => {
        const withFields = (level: 'error' | 'warn' | 'info' | 'debug') => (event: string, fields?: LogFields) =>
          logger[level](event, { ...common, ...fields })
        return { ...logger, error: withFields('error'), warn: withFields('warn'), info: withFields('info') }
      },
    }
    return logger
  }
}

/** What the HTTP listener does with an upgrade. */
function upgrade(core: RelayCore, socket: ServerSocket): void {
  const request = new IncomingMessage(socket as unknown as Socket)
  request.method = 'GET'
  request.url = '/'
  request.headers = {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-key': 'c2ltdWxhdGVkLXNpbXVsYQ==',
    'sec-websocket-version': '13',
  }
  socket.on('error', () => socket.destroy())
  core.webSocketDoor.accept(request, socket, Buffer.alloc(0))
}
