/**
 * Leading: one seat of a replica holds its lock, runs its Core and offers it to the tabs.
 *
 * Invariants: the Core is opened after the lock is held and closed before it is given back, so two Cores of one replica
 * overlap only when a hung leader was deposed (the outbox stays correct even then; see client/outbox). The locks of
 * the browser end with this context, so a successor never waits for a dead one.
 */
import type { Core } from '../client/core.ts'
import { loggedOut } from '../client/core-status.ts'
import { OttlaError } from '../client/errors.ts'
import { loggedOutError, StoreError } from '../client/replica/store-error.ts'
import { type Clock, sleep } from '../protocol/lib/clock.ts'
import type { Random } from '../protocol/lib/random.ts'
import { randomUuid } from '../protocol/lib/uuid.ts'
import {
  asNote,
  CONTRACT_VERSION,
  type CoreConfig,
  channelNames,
  type HostNote,
  type JoinNote,
  type LeaderInfo,
  type LobbyNote,
  lockNames,
} from './contract.ts'
import { Host } from './host.ts'
import { channelLine, type Line } from './line.ts'
import { type HeldLock, holderOf, type Locks, takeLock } from './locks.ts'
import { secretChannelName } from './page-secret.ts'

/** What a seat needs of the world. */
export interface SeatEnvironment {
  clock: Clock
  random: Random
  /** Undefined outside secure contexts. */
  locks: Locks | undefined
  openChannel(name: string): BroadcastChannel
  openCore(config: CoreConfig): Promise<Core>
}

const CORE_CLOSE_MS_MAX = 1_000
const LOGOUT_TOLD_MS = 50

export interface Lead {
  readonly host: Host
  /** Not when leading is over, or is about to end because the user was logged out. */
  readonly takesTabs: boolean
  /** Resolves when leading is over, whoever ended it, and everything is given back. */
  readonly ended: Promise<void>
  stop(): void
}

/**
 * Waits for the replica's lock, then leads, as the seat wants it by then. Rejects with the signal's reason, or with what
 * opening the Core threw.
 */
export async function lead(
  env: SeatEnvironment,
  seat: { id: string; replica: string; config(): CoreConfig; onTabs(count: number): void },
  signal: AbortSignal,
): Promise<Lead> {
  const { locks } = env
  const held: HeldLock[] = []
  const giveBack = () => {
    // The instance's lock goes last in, first out: a free instance means that the core's lock is about to be free.
    for (const lock of held.reverse()) lock.release()
  }
  try {
    if (locks) held.push(await takeLock(locks, lockNames.core(seat.replica), signal))
    const instance = randomUuid(env.random)
    if (locks) held.push(await takeLock(locks, lockNames.instance(instance)))
    const clientId = locks ? await holderOf(locks, lockNames.instance(instance)) : null
    const config = seat.config()
    const core = await env.openCore({ ...config, life: config.life ?? null })
    const leader: LeaderInfo = {
      contract: CONTRACT_VERSION,
      instance,
      seatId: seat.id,
      clientId,
      generation: env.clock.now(),
      url: config.url,
      life: core.life,
    }
    const host = new Host({
      core,
      leader,
      encryption: config.options.encryption,
      clock: env.clock,
      locks,
      onTabs: seat.onTabs,
      onSecret: (change) => {
        const channel = env.openChannel(secretChannelName(seat.replica))
        channel.postMessage(change)
        channel.close()
      },
    })
    return begin(env, { core, host, held, giveBack, replica: seat.replica })
  } catch (error) {
    giveBack()
    throw error
  }
}

function begin(
  env: SeatEnvironment,
  parts: { core: Core; host: Host; held: HeldLock[]; giveBack(): void; replica: string },
): Lead {
  const { core, host, held, giveBack, replica } = parts
  const lobby = env.openChannel(channelNames.lobby(replica))
  const announce = () => lobby.postMessage({ ottla: 'leading', leader: host.leader } satisfies LobbyNote)
  lobby.addEventListener('message', (event) => {
    const note = asNote<LobbyNote>(event.data)
    if (loggedOut(core.status())) return
    if (note?.ottla === 'who') announce()
    if (note?.ottla === 'join' && note.instance === host.leader.instance) {
      welcome(host, note, channelLine(env.openChannel(channelNames.line(note.lineId))))
    }
  })
  announce()
  let stop = () => {}
  const stopped = new Promise<void>((resolve) => {
    stop = resolve
  })
  // The tabs are told by the status, and whoever asked for it by the answer: those go first.
  const unlisten = core.onStatus((status) => {
    if (loggedOut(status)) env.clock.setTimer(LOGOUT_TOLD_MS, stop)
  })
  const ended = Promise.race([stopped, ...held.map((lock) => lock.stolen)]).then(async () => {
    unlisten()
    host.close()
    lobby.close()
    // A Core that can't end in time must not keep its successor waiting.
    await Promise.race([core.close().catch(() => {}), sleep(env.clock, CORE_CLOSE_MS_MAX)])
    giveBack()
  })
  return {
    host,
    ended,
    stop,
    get takesTabs() {
      return !host.isClosed && loggedOut(core.status()) === null
    },
  }
}

/** Adds the tab to the host, or says why not. */
export function welcome(host: Host, join: JoinNote, line: Line): void {
  const error = refusal(host, join)
  if (error) line.post({ ottla: 'refused', error: error.toInfo() } satisfies HostNote)
  else host.add(join.tabId, line)
}

function refusal(host: Host, join: JoinNote): OttlaError | undefined {
  const { leader } = host
  if (join.contract !== leader.contract) {
    return new OttlaError('UNSUPPORTED', {
      message: `this page speaks version ${join.contract} of the worker's calls, the running worker ${leader.contract}`,
      hint: 'reload every open tab of this application, so that all run the same version',
    })
  }
  const { life = null, options } = join.config
  if (life !== null && life !== leader.life) return loggedOutError().toOttlaError()
  if (!host.isEncryptedAs(options.encryption)) {
    return new StoreError('locked', 'the replica is open in another tab, under another secret').toOttlaError()
  }
  if (join.config.url === leader.url) return undefined
  return new OttlaError('INVALID_ARGUMENT', {
    message: `replica '${join.config.replica}' is open for ${leader.url}; this page asked for ${join.config.url}`,
    hint: 'use one replica name for each relay',
  })
}
