/**
 * A group of the next protocol whose members come, leave, freeze and die at random, while the coordinator is restarted: no
 * partition ever has two owners, and peace returns.
 */
import { expect, test } from 'vitest'
import { HandClock } from '../../../../protocol/lib/clock.ts'
import { randomBelow, seededRandom } from '../../../../protocol/lib/random.ts'
import type { GroupCoordinator } from '../../../../server/coordinator/runtime.ts'
import { MemoryFiles } from '../../../../server/storage/memory-files.ts'
import { openCoordinator } from '../coordinator-fixture.ts'
import { ChurnMember, GROUP, HEARTBEAT_MS, PARTITIONS, SESSION_MS, type Surroundings } from './churn-member.ts'
import { Topics } from './consumer-driver.ts'

const MEMBERS = 50
const STEP_MS = 100

class Churn implements Surroundings {
  readonly clock = new HandClock()
  readonly members: ChurnMember[] = []
  readonly log: string[] = []
  readonly violations: string[] = []
  coordinator!: GroupCoordinator
  commits = 0
  readonly #files = new MemoryFiles()
  #names = 0
  readonly #random
  /** The newest epoch in which each partition was committed, and by whom. */
  readonly #committers = new Map<number, { epoch: number; name: string }>()

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  async open(): Promise<void> {
    this.coordinator = await openCoordinator({
      ...{ files: this.#files, clock: this.clock, deadBytesMin: 64 * 1024, segmentBytes: 32 * 1024 },
      config: { groupConsumerSessionTimeoutMs: SESSION_MS, groupConsumerHeartbeatIntervalMs: HEARTBEAT_MS },
      catalog: new Topics({ t: PARTITIONS }),
    })
  }

  /** Members notice nothing but a refusal or two. */
  async restart(): Promise<void> {
    this.log.push(`${this.clock.monotonic()} restart`)
    await this.coordinator.close()
    await this.open()
  }

  add(): void {
    const name = `c${this.#names++}`
    this.members.push(new ChurnMember(name, this, this.#names % 5 === 0 ? `i-${name}` : null))
  }

  get live(): ChurnMember[] {
    return this.members.filter(({ state }) => state === 'live')
  }

  acquired(member: ChurnMember): void {
    const own = new Set(member.partitions)
    for (const other of this.live) {
      const both = other === member ? [] : other.partitions.filter((partition) => own.has(partition))
      if (both.length > 0) this.#violated(`${member.name} and ${other.name} both read ${both}`)
    }
  }

  committed({ name }: ChurnMember, partition: number, epoch: number): void {
    this.commits++
    const last = this.#committers.get(partition)
    if (last && last.name !== name && last.epoch > epoch)
      this.#violated(`${partition} of ${last.name} (${last.epoch}) committed by ${name} (${epoch})`)
    this.#committers.set(partition, { epoch, name })
  }

  #violated(what: string): void {
    this.violations.push(`${what}, at ${this.clock.monotonic()}: ${this.log.slice(-12).join('; ')}`)
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
      if (live.length < MEMBERS) this.add()
    } else if (kind === 1) victim.leave(victim.instanceId !== null && this.#random.next() < 0.5 ? -2 : -1)
    else if (kind === 2) victim.freeze()
    else victim.die()
  }

  get isSettled(): boolean {
    const machine = this.coordinator.group(GROUP)?.machine
    if (machine?.type !== 'consumer' || machine.phase !== 'Stable') return false
    const ids = [...machine.members].map(({ memberId }) => memberId).sort()
    const expected = this.live.map(({ name }) => name).sort()
    if (ids.join() !== expected.join()) return false
    const owned = this.live.flatMap(({ partitions }) => partitions).sort((a, b) => a - b)
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

  get loads(): number[] {
    return this.live.map(({ partitions }) => partitions.length)
  }
}

test.each([1, 2, 3])(
  '[GRP-43] 50 members come, leave, freeze and die on 24 partitions (seed %i)',
  async (seed) => {
    const churn = new Churn(seed)
    await churn.open()
    for (let count = 0; count < MEMBERS; count++) churn.add()
    await churn.settle(SESSION_MS + 1000)
    for (let round = 0; round < 10; round++) {
      churn.burst()
      await churn.settle(SESSION_MS + 1000)
      expect(Math.max(...churn.loads) - Math.min(...churn.loads)).toBeLessThanOrEqual(1)
      await churn.pass(2 * HEARTBEAT_MS)
    }
    for (let round = 0; round < 4; round++) {
      await churn.storm(10_000)
      await churn.restart()
    }
    // Whoever was about to be given up when the coordinator restarted has a whole session again.
    await churn.settle(SESSION_MS + 1000)
    expect(churn.violations).toEqual([])
    expect(churn.commits).toBeGreaterThan(500)
  },
  60_000,
)
