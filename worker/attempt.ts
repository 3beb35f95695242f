/**
 * One attempt to find the host: join the own seat by its port, ask the lobby who leads, and take the first hello.
 *
 * Invariant: what is not part of the attachment that comes out is closed, except that a seat which does not lead keeps
 * its port: through it the seat knows that a tab wants it to contend for the lead, and a hello on it replaces the
 * attachment to another leader.
 */
import { OttlaError } from '../client/errors.ts'
import { randomUuid } from '../protocol/lib/uuid.ts'
import type { AttacherOptions } from './attacher-options.ts'
import { Attachment } from './attachment.ts'
import {
  asNote,
  CONTRACT_VERSION,
  channelNames,
  type HostNote,
  type JoinNote,
  type LeaderInfo,
  type LobbyNote,
} from './contract.ts'
import { channelLine, type Line, portLine } from './line.ts'

export interface AttemptOptions extends AttacherOptions {
  tabId: string
  lobby: BroadcastChannel
  epoch: number
  withinMs: number
  /** How long a seat that the attachment went past may go on saying nothing before it counts as dead. */
  seatPatienceMs: number
  onDeadSeat(attachment: Attachment): void
  signal: AbortSignal
}

export interface AttemptOutcome {
  attachment?: Attachment
  refusal?: OttlaError
  /** The own seat answered, whoever leads. */
  isSeated: boolean
  /** The attachment is to the own seat. */
  isOwnSeat: boolean
}

export function attempt(options: AttemptOptions): Promise<AttemptOutcome> {
  return new Promise((resolve) => new Attempt(options, resolve).begin())
}

class Attempt {
  readonly #options: AttemptOptions
  readonly #resolve: (outcome: AttemptOutcome) => void
  readonly #over = new AbortController()
  #isSeatSilent = false
  #seatLine: Line | undefined
  #seatId: string | undefined
  #leader: LeaderInfo | undefined
  #leaderLine: Line | undefined
  /** The leader that `leaderLine` leads to. */
  #joinedInstance: string | undefined
  #attachment: Attachment | undefined
  /** The attachment's: one of the two above. */
  #usedLine: Line | undefined

  constructor(options: AttemptOptions, resolve: (outcome: AttemptOutcome) => void) {
    this.#options = options
    this.#resolve = resolve
  }

  begin(): void {
    const { clock, lobby, signal, spawner, epoch, withinMs } = this.#options
    const timers = [
      clock.setTimer(withinMs, () => this.#end({})),
      // A seat that is silent so long may be dead; whoever leads is then joined without knowing whether it is that one.
      clock.setTimer(withinMs / 2, () => {
        this.#isSeatSilent = true
        this.#considerLeader()
      }),
    ]
    const onAbort = () => this.#end({})
    this.#over.signal.addEventListener('abort', () => {
      for (const timer of timers) timer.cancel()
      signal.removeEventListener('abort', onAbort)
    })
    signal.addEventListener('abort', onAbort)
    lobby.addEventListener('message', (event) => this.#heardInLobby(event.data), { signal: this.#over.signal })
    try {
      const line = portLine(spawner.open(epoch, (reason) => this.#fail(reason)))
      this.#seatLine = line
      line.listen((data) => this.#heardFromSeat(line, data))
      line.post(joinNote(this.#options))
    } catch (error) {
      this.#fail(String(error))
      return
    }
    lobby.postMessage({ ottla: 'who' } satisfies LobbyNote)
  }

  #heardFromSeat(line: Line, data: unknown): void {
    const note = asNote<HostNote>(data)
    if (note?.ottla === 'seated') {
      this.#seatId = note.seatId
      this.#considerLeader()
    }
    if (note?.ottla === 'refused') this.#end({ refusal: OttlaError.fromInfo(note.error) })
    if (note?.ottla !== 'hello') return
    // The own seat has come to lead after another leader was found: that one has lost its lock.
    if (this.#attachment) this.#attachment.lose('replaced')
    else this.#attach(line, note)
  }

  #heardInLobby(data: unknown): void {
    const note = asNote<LobbyNote>(data)
    if (note?.ottla !== 'leading') return
    this.#leader = note.leader
    this.#considerLeader()
  }

  /** A leader that is not the own seat is joined over a channel; the own seat says hello by itself. */
  #considerLeader(): void {
    const leader = this.#leader
    if (!leader || this.#over.signal.aborted || leader.seatId === this.#seatId) return
    if (!this.#seatId && !this.#isSeatSilent) return
    if (leader.instance === this.#joinedInstance) return
    this.#joinedInstance = leader.instance
    const { lobby, openChannel } = this.#options
    const join = joinNote(this.#options, leader.instance)
    this.#leaderLine?.close()
    const line = channelLine(openChannel(channelNames.line(join.lineId)))
    this.#leaderLine = line
    line.listen((data) => {
      const note = asNote<HostNote>(data)
      if (note?.ottla === 'refused') this.#end({ refusal: OttlaError.fromInfo(note.error) })
      if (note?.ottla === 'hello') this.#attach(line, note)
    })
    lobby.postMessage(join)
  }

  #attach(line: Line, hello: HostNote & { ottla: 'hello' }): void {
    if (this.#over.signal.aborted) return
    const { clock, locks, onEvents, liveness } = this.#options
    this.#usedLine = line
    this.#attachment = new Attachment(line, hello, { clock, locks, onEvents, ...liveness })
    this.#end({ attachment: this.#attachment })
  }

  #fail(reason: string): void {
    this.#end({ refusal: new OttlaError('UNSUPPORTED', { message: reason, hint: 'check the address of the worker' }) })
  }

  #end(outcome: Pick<AttemptOutcome, 'attachment' | 'refusal'>): void {
    if (this.#over.signal.aborted) return
    this.#over.abort()
    const { attachment } = outcome
    const seatLine = this.#seatLine
    const isOwnSeat = attachment !== undefined && seatLine === this.#usedLine
    if (this.#leaderLine !== this.#usedLine) this.#leaderLine?.close()
    if (seatLine && !attachment) leave(seatLine)
    else if (seatLine && attachment && !isOwnSeat) this.#watchSeat(seatLine, attachment)
    this.#resolve({ ...outcome, isSeated: this.#seatId !== undefined, isOwnSeat })
  }

  /** The page is attached to another leader; its own seat must still be there to lead when that one goes. */
  #watchSeat(seatLine: Line, attachment: Attachment): void {
    const { clock, seatPatienceMs, onDeadSeat } = this.#options
    seatLine.post({ ottla: 'life', life: attachment.leader.life })
    const timer = clock.setTimer(seatPatienceMs, () => {
      if (!this.#seatId) onDeadSeat(attachment)
    })
    void attachment.lost.then(() => {
      timer.cancel()
      leave(seatLine)
    })
  }
}

/** A new seat for a page that stays attached to another leader. */
export function reseat(
  options: JoinOptions & Pick<AttacherOptions, 'spawner'>,
  epoch: number,
  attachment: Attachment,
): void {
  const line = portLine(options.spawner.open(epoch, () => {}))
  line.listen((data) => {
    if (asNote<HostNote>(data)?.ottla === 'hello') attachment.lose('replaced')
  })
  line.post(joinNote(options))
  void attachment.lost.then(() => leave(line))
}

type JoinOptions = Pick<AttemptOptions, 'tabId' | 'config' | 'random'>

/** For the own seat, or for the leader of that instance. */
function joinNote({ tabId, config, random }: JoinOptions, instance: string | null = null): JoinNote {
  return { ottla: 'join', contract: CONTRACT_VERSION, tabId, instance, lineId: randomUuid(random), config }
}

function leave(line: Line): void {
  line.post({ ottla: 'leave' })
  line.close()
}
