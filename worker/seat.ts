/**
 * A seat: the part of a worker (or of a page, where there are no workers) that tabs join and that may come to lead.
 *
 * Invariants: one seat serves one replica; what it opens it opens as the tab that joined last wants it (after a logout that
 * is another user's); it contends for the lead as long as a tab waits or is served, and lets go
 * `lingerMs` after the last has left, so that a reload doesn't cost a new connection.
 */
import { asOttlaError, OttlaError } from '../client/errors.ts'
import type { SecretChange } from '../client/replica/sealed/encryption.ts'
import type { Timer } from '../protocol/lib/clock.ts'
import { randomUuid } from '../protocol/lib/uuid.ts'
import { asNote, type CoreConfig, type HostNote, type JoinNote, type PageNote } from './contract.ts'
import { type Lead, lead, type SeatEnvironment, welcome } from './leader.ts'
import { type Line, portLine } from './line.ts'
import { secretChannelName, takeOn } from './page-secret.ts'

const LINGER_MS = 3_000

export class Seat {
  readonly id: string
  readonly #env: SeatEnvironment
  #config: CoreConfig | undefined
  /** Tabs that joined while another seat leads, or while this one is about to. */
  readonly #waiting = new Map<string, { join: JoinNote; line: Line }>()
  #lead: Lead | undefined
  #contending: AbortController | undefined
  #contended: Promise<void> = Promise.resolve()
  #linger: Timer | undefined
  #secrets: BroadcastChannel | undefined

  constructor(env: SeatEnvironment) {
    this.#env = env
    this.id = randomUuid(env.random)
  }

  /** A tab's own port. It says 'join' when it is ready. */
  attach(port: MessagePort): void {
    const line = portLine(port)
    line.listen((data) => {
      const note = asNote<PageNote>(data)
      if (note?.ottla === 'join') this.#join(note, line)
      if (note?.ottla === 'life') this.#learnLife(note.life, line)
      if (note?.ottla === 'leave') this.#leave(line)
    })
  }

  /** Gives the lead back, whoever is attached: they find the next seat. For a context that is about to end. */
  async close(): Promise<void> {
    this.#linger?.cancel()
    this.#secrets?.close()
    this.#waiting.clear()
    this.#contending?.abort(new OttlaError('CLOSED', { message: 'this context is about to end' }))
    this.#lead?.stop()
    await this.#contended
  }

  #join(join: JoinNote, line: Line): void {
    line.post({ ottla: 'seated', seatId: this.id } satisfies HostNote)
    this.#config ??= join.config
    if (join.config.replica !== this.#config.replica) {
      refuse(
        line,
        new OttlaError('INVALID_ARGUMENT', {
          message: `this worker serves replica '${this.#config.replica}', not '${join.config.replica}'`,
        }),
      )
      return
    }
    this.#linger?.cancel()
    // A lead that is over still closes its core; who comes meanwhile belongs to the next one.
    if (this.#lead?.takesTabs) {
      welcome(this.#lead.host, join, line)
      return
    }
    this.#waiting.set(join.tabId, { join, line })
    if (join.config.options.encryption) this.#followSecrets(join.config.replica)
    if (!this.#contending) this.#contended = this.#contend()
  }

  /** A replica that is ended while the tab waits must not be opened anew on its behalf. */
  #learnLife(life: number, line: Line): void {
    for (const { join, line: waiting } of this.#waiting.values()) if (waiting === line) join.config.life = life
  }

  /** Tabs that wait have shown the secret of then, and are let in with that of now. */
  #followSecrets(replica: string): void {
    if (this.#secrets) return
    this.#secrets = this.#env.openChannel(secretChannelName(replica))
    this.#secrets.onmessage = ({ data }: MessageEvent<SecretChange>) => {
      for (const { join } of this.#waiting.values()) takeOn(join.config, data)
    }
  }

  #leave(line: Line): void {
    for (const [tabId, waiting] of this.#waiting) {
      if (waiting.line !== line) continue
      this.#waiting.delete(tabId)
      this.#config = waiting.join.config
      line.close()
    }
    this.#lingerIfEmpty()
  }

  /** Leads again and again until nobody is left. Never rejects. */
  async #contend(): Promise<void> {
    const contending = new AbortController()
    this.#contending = contending
    while (this.#waiting.size > 0 && !contending.signal.aborted) {
      try {
        this.#lead = await this.#takeLead(contending.signal)
        for (const { join, line } of this.#waiting.values()) welcome(this.#lead.host, join, line)
        this.#waiting.clear()
        this.#lingerIfEmpty()
        await this.#lead.ended
      } catch (error) {
        // The tabs are told, and try again in their own time.
        if (!contending.signal.aborted) this.#refuseWaiting(asOttlaError(error, 'STORAGE_FAILED'))
      }
      this.#lead = undefined
    }
    this.#contending = undefined
    // Somebody may have joined between the last check and here.
    if (this.#waiting.size > 0) await this.#contend()
  }

  #takeLead(signal: AbortSignal): Promise<Lead> {
    const first = this.#wanted()!
    const config = () => this.#wanted() ?? first
    const seat = { id: this.id, replica: first.replica, config, onTabs: () => this.#lingerIfEmpty() }
    return lead(this.#env, seat, signal)
  }

  /** As the tabs that wait want the replica opened; when all have left, as the last of them did. */
  #wanted(): CoreConfig | undefined {
    const configs = [...this.#waiting.values()].map(({ join }) => join.config)
    return configs.length > 0 ? newest(configs) : this.#config
  }

  #refuseWaiting(error: OttlaError): void {
    for (const { line } of this.#waiting.values()) refuse(line, error)
    this.#waiting.clear()
  }

  #lingerIfEmpty(): void {
    this.#linger?.cancel()
    this.#linger = this.#env.clock.setTimer(LINGER_MS, () => {
      if (this.#waiting.size > 0 || (this.#lead?.host.tabCount ?? 0) > 0) return
      this.#lead?.stop()
      this.#contending?.abort(new OttlaError('CLOSED', { message: 'the last tab has left' }))
      // Another replica's relay may be asked for by whoever comes next.
      this.#config = undefined
      this.#secrets?.close()
      this.#secrets = undefined
    })
  }
}

/** Of the latest life that one of them has seen; who has seen none takes whichever it finds. */
function newest(configs: readonly CoreConfig[]): CoreConfig {
  const lifeOf = ({ life }: CoreConfig) => life ?? Number.POSITIVE_INFINITY
  return configs.reduce((newest, config) => (lifeOf(config) >= lifeOf(newest) ? config : newest))
}

function refuse(line: Line, error: OttlaError): void {
  line.post({ ottla: 'refused', error: error.toInfo() } satisfies HostNote)
}
