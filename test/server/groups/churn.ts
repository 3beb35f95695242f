/** A group whose members come, leave, freeze and die at random, in virtual time, whatever its protocol. */
import { HandClock, type Timer } from '../../../protocol/lib/clock.ts'
import { type Random, randomBelow, seededRandom } from '../../../protocol/lib/random.ts'

export const GROUP = 'churn'
export const SESSION_MS = 6000
export const HEARTBEAT_MS = 500
export const PARTITIONS = 24
export const MEMBERS = 50
const STEP_MS = 100

/** A member that can be put to sleep, like a tab, and then goes on as if nothing had happened. */
export abstract class ChurningMember {
  readonly name: string
  state: 'live' | 'frozen' | 'gone' = 'live'
  protected timer: Timer | undefined
  /** What happens while it is frozen waits. */
  #missed: Array<() => void> = []

  constructor(name: string) {
    this.name = name
  }

  /** What it reads, as far as it knows. */
  abstract get partitions(): readonly number[]

  freeze(): void {
    if (this.state === 'live') this.state = 'frozen'
  }

  thaw(): void {
    if (this.state !== 'frozen') return
    this.state = 'live'
    for (const happen of this.#missed.splice(0)) happen()
  }

  die(): void {
    this.state = 'gone'
    this.timer?.cancel()
  }

  /** Runs now, after the thaw, or never. */
  protected when(happen: () => void): void {
    if (this.state === 'live') happen()
    else if (this.state === 'frozen') this.#missed.push(happen)
  }
}

export abstract class Churn<M extends ChurningMember> {
  readonly clock = new HandClock()
  readonly members: M[] = []
  readonly log: string[] = []
  readonly violations: string[] = []
  commits = 0
  protected readonly random: Random
  #names = 0

  constructor(seed: number) {
    this.random = seededRandom(seed)
  }

  protected abstract newMember(name: string, index: number): M

  protected abstract leave(member: M): void

  /** The coordinator and the members agree on who is there and who reads what. */
  abstract get isSettled(): boolean

  add(): void {
    const index = this.#names++
    this.members.push(this.newMember(`c${index}`, index))
  }

  get live(): M[] {
    return this.members.filter(({ state }) => state === 'live')
  }

  /** The member reads what it has from now on. */
  acquired(member: M): void {
    const own = new Set(member.partitions)
    for (const other of this.live) {
      const both = other === member ? [] : other.partitions.filter((partition) => own.has(partition))
      if (both.length > 0) this.violated(`${member.name} and ${other.name} both read ${both}`)
    }
  }

  protected violated(what: string): void {
    this.violations.push(`${what}, at ${this.clock.monotonic()}: ${this.log.slice(-12).join('; ')}`)
  }

  /** One thing that happens to one member, or a new one. */
  #disturb(): void {
    const live = this.live
    const frozen = this.members.filter(({ state }) => state === 'frozen')
    const victim = live[randomBelow(this.random, live.length)]
    const kind = randomBelow(this.random, 5)
    this.log.push(`${this.clock.monotonic()} ${['add', 'leave', 'freeze', 'die', 'thaw'][kind]} ${victim?.name ?? ''}`)
    if (kind === 4) frozen[randomBelow(this.random, frozen.length)]?.thaw()
    else if (kind === 0 || !victim || live.length < MEMBERS / 2) {
      if (live.length < MEMBERS) this.add()
    } else if (kind === 1) this.leave(victim)
    else if (kind === 2) victim.freeze()
    else victim.die()
  }

  protected get isEverythingRead(): boolean {
    const read = this.live.flatMap(({ partitions }) => partitions).sort((a, b) => a - b)
    return read.length === PARTITIONS && read.every((partition, index) => partition === index)
  }

  /** Fails after `withinMs`. */
  async settle(withinMs: number): Promise<void> {
    const from = this.clock.monotonic()
    while (!this.isSettled) {
      const passedMs = this.clock.monotonic() - from
      if (passedMs >= withinMs) throw new Error(`not settled after ${passedMs} ms: ${this.log.slice(-12).join('; ')}`)
      await this.pass(STEP_MS)
    }
  }

  /** Virtual time in small steps, between which the disk gets a moment of real time. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      await this.clock.advanceAsync(STEP_MS)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async storm(durationMs: number): Promise<void> {
    for (let passedMs = 0; passedMs < durationMs; ) {
      this.#disturb()
      const pauseMs = STEP_MS * (1 + randomBelow(this.random, 15))
      passedMs += pauseMs
      await this.pass(pauseMs)
    }
  }

  /** Some things at once. */
  burst(): void {
    for (let count = 1 + randomBelow(this.random, 8); count > 0; count--) this.#disturb()
  }
}
