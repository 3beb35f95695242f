/** A group whose members come, leave, freeze and die at random: no partition ever has two owners, and peace returns. */
import { expect, test } from 'vitest'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { randomBelow, seededRandom } from '../../../protocol/lib/random.ts'
import type { GroupCoordinator } from '../../../server/coordinator/runtime.ts'
import { ChurnMember, GROUP, HEARTBEAT_MS, type Observer, PARTITIONS, SESSION_MS } from './churn-member.ts'
import { openCoordinator } from './coordinator-fixture.ts'

const MEMBERS = 50
const STEP_MS = 100

class Churn implements Observer {
  readonly clock = new HandClock()
  readonly members: ChurnMember[] = []
  readonly log: string[] = []
  readonly violations: string[] = []
  commits = 0
  #coordinator!: GroupCoordinator
  #names = 0
  readonly #random
  /** Who committed last for each partition. */
  readonly #owners = new Map<number, { generationId: number; name: string }>()

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  async open(): Promise<void> {
    this.#coordinator = await openCoordinator({ clock: this.clock, deadBytesMin: 64 * 1024, segmentBytes: 32 * 1024 })
  }

  add(): void {
    this.members.push(new ChurnMember(`c${this.#names++}`, this.#coordinator, this.clock, this))
  }

  get live(): ChurnMember[] {
    return this.members.filter(({ state }) => state === 'live')
  }

  acquired(member: ChurnMember): void {
    for (const other of this.live) {
      const both = other === member ? [] : member.owned.filter((partition) => other.owned.includes(partition))
      if (both.length > 0) this.#violated(`${member.name} and ${other.name} both read ${both}`)
    }
  }

  committed({ name }: ChurnMember, partition: number, generationId: number): void {
    this.commits++
    const last = this.#owners.get(partition)
    this.#owners.set(partition, { generationId, name })
    if (!last || last.generationId < generationId) return
    if (last.generationId > generationId || last.name !== name)
      this.#violated(`${partition} of ${last.name} (${last.generationId}) committed by ${name} (${generationId})`)
  }

  #violated(what: string): void {
    this.violations.push(`${what}, at ${this.clock.monotonic()}`)
  }

  /** One thing that happens to one member, or a new one. */
  disturb(): void {
    const live = this.live
    const frozen = this.members.filter(({ state }) => state === 'frozen')
    const victim = live[randomBelow(this.#random, live.length)]
    const kind = randomBelow(this.#random, 5)
    this.log.push(`${this.clock.monotonic()} ${['add', 'leave', 'freeze', 'die', 'thaw'][kind]} ${victim?.name ?? ''}`)
    if (kind === 4) frozen[randomBelow(this.#random, frozen.length)]?.thaw()
    else if (kind === 0 || !victim || live.length < MEMBERS / 2) {
      if (this.live.length < MEMBERS) this.add()
    } else if (kind === 1) victim.leave()
    else if (kind === 2) victim.freeze()
    else victim.die()
  }

  get isSettled(): boolean {
    const classic = this.#coordinator.group(GROUP)?.machine
    if (classic?.phase !== 'Stable') return false
    const ids = [...classic.members].map(({ memberId }) => memberId).sort()
    const expected = this.live.map(({ memberId }) => memberId).sort()
    if (ids.length !== expected.length || ids.some((id, index) => id !== expected[index])) return false
    const owned = this.live.flatMap((member) => member.owned).sort((a, b) => a - b)
    return owned.length === PARTITIONS && owned.every((partition, index) => partition === index)
  }

  /** How long it took; fails after `withinMs`. */
  async settle(withinMs: number): Promise<number> {
    const from = this.clock.monotonic()
    while (!this.isSettled) {
      const passedMs = this.clock.monotonic() - from
      if (passedMs >= withinMs) throw new Error(`not settled after ${passedMs} ms: ${this.log.slice(-12).join('; ')}`)
      await this.pass(STEP_MS)
    }
    return this.clock.monotonic() - from
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
      this.disturb()
      const pauseMs = STEP_MS * (1 + randomBelow(this.#random, 15))
      passedMs += pauseMs
      await this.pass(pauseMs)
    }
  }

  /** Some things at once. */
  burst(): void {
    for (let count = 1 + randomBelow(this.#random, 8); count > 0; count--) this.disturb()
  }
}

test.each([1, 2, 3])(
  '[GRP-16] 50 members come, leave, freeze and die on 24 partitions (seed %i)',
  async (seed) => {
    const churn = new Churn(seed)
    await churn.open()
    for (let count = 0; count < MEMBERS; count++) churn.add()
    await churn.settle(SESSION_MS + 1000)
    for (let round = 0; round < 10; round++) {
      churn.burst()
      await churn.settle(SESSION_MS + 1000)
      await churn.pass(2 * HEARTBEAT_MS)
    }
    await churn.storm(40_000)
    // A member that froze while it waited for others counts as silent only from the end of that wait.
    await churn.settle(2 * SESSION_MS + 1000)
    expect(churn.violations).toEqual([])
    expect(churn.commits).toBeGreaterThan(500)
  },
  60_000,
)
