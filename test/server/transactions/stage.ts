/** A relay without doors on files in memory, in virtual time: requests go through their bytes to the real handlers. */
import type { Api } from '../../../protocol/api.ts'
import { Reader } from '../../../protocol/bytes/reader.ts'
import { Writer } from '../../../protocol/bytes/writer.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { allowAll } from '../../../server/authorizer.ts'
import { type RelayConfig, relayConfigDefaults } from '../../../server/config.ts'
import type { Topic } from '../../../server/engine.ts'
import type { RequestContext } from '../../../server/handler.ts'
import { handlerByKey } from '../../../server/handlers/index.ts'
import { type Logger, silentLogger } from '../../../server/logger.ts'
import { openRelayCore, type RelayCore } from '../../../server/relay-core.ts'
import type { Files } from '../../../server/storage/files.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'

/** Its turns are microtasks, so that time need not wait for the event loop. */
export class TurningClock extends HandClock {
  nextTurn(run: () => void): void {
    queueMicrotask(run)
  }
}

export interface StageOptions {
  files?: Files
  clock?: TurningClock
  config?: Partial<RelayConfig>
  logger?: Logger
}

export class Stage {
  readonly core: RelayCore
  readonly clock: TurningClock

  constructor(core: RelayCore, clock: TurningClock) {
    this.core = core
    this.clock = clock
  }

  get services() {
    return this.core.services
  }

  createTopic(name: string, partitionCount = 2): Promise<Topic> {
    return this.services.engine.createTopic({ name, partitionCount, configs: {} })
  }

  /** A request as bytes: what is sent twice must not be one buffer. */
  static encode<ReqIn>(api: Api<unknown, unknown, ReqIn, never>, version: number, body: ReqIn): Uint8Array {
    const writer = new Writer(256)
    api.request.write(writer, version, body)
    return writer.finish()
  }

  /** Carries it out from this turn on. */
  async deliver<Res>(api: Api<unknown, Res, never, never>, version: number, bytes: Uint8Array): Promise<Res> {
    const body = api.request.read(new Reader(bytes.slice()), version)
    const reply = await handlerByKey.get(api.key)!.handle(body as never, this.#context(version))
    const writer = new Writer(256)
    api.response.write(writer, version, reply as never)
    return api.response.read(new Reader(writer.finish()), version)
  }

  call<Res, ReqIn>(api: Api<unknown, Res, ReqIn, never>, body: ReqIn, version = api.maxVersion): Promise<Res> {
    const bytes = Stage.encode(api as Api<unknown, unknown, ReqIn, never>, version, body)
    return this.deliver(api as Api<unknown, Res, never, never>, version, bytes)
  }

  #context(apiVersion: number): RequestContext {
    const connection = { onceClosed: () => () => {}, isClosed: false, remoteAddress: 'stage' }
    return {
      ...{ services: this.services, apiVersion, clientId: 'stage' },
      connection: connection as unknown as RequestContext['connection'],
      allows: () => true,
      allowsSome: () => true,
      afterReply: () => {},
      onSent: () => {},
      turn: () => undefined,
    }
  }
}

export async function openStage(options: StageOptions = {}): Promise<Stage> {
  const { files = new MemoryFiles(), clock = new TurningClock(), config, logger = silentLogger } = options
  const nowhere = () => ({ host: '127.0.0.1', port: 1 })
  const core = await openRelayCore({
    ...{ files, clock, logger, random: seededRandom(1), authorizer: allowAll },
    config: { ...relayConfigDefaults, dataDir: '/data', groupInitialRebalanceDelayMs: 0, ...config },
    advertised: { http: nowhere, kafka: nowhere },
  })
  return new Stage(core, clock)
}

/** Lets everything happen that needs no time. */
export async function settle(turns = 3): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
}
