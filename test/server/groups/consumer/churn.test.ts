/**
 * A group of the next protocol whose members come, leave, freeze and die at random, while the coordinator is restarted: no
 * partition ever has two owners, and peace returns.
 */
import { expect, test } from 'vitest'
import type { GroupCoordinator } from '../../../../server/coordinator/runtime.ts'
import { MemoryFiles } from '../../../../server/storage/memory-files.ts'
import { Churn, GROUP, HEARTBEAT_MS, MEMBERS, PARTITIONS, SESSION_MS } from '../churn.ts'
import { openCoordinator } from '../coordinator-fixture.ts'
import { ChurnMember, type Surroundings } from './churn-member.ts'
import { Topics } from './consumer-driver.ts'

class NextChurn extends Churn<ChurnMember> implements Surroundings {
  coordinator!: GroupCoordinator
  readonly #files = new MemoryFiles()
  /** The newest epoch in which each partition was committed, and by whom. */
  readonly #committers = new Map<number, { epoch: number; name: string }>()

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

  protected newMember(name: string, index: number): ChurnMember {
    return new ChurnMember(name, this, index % 5 === 4 ? `i-${name}` : null)
  }

  protected leave(member: ChurnMember): void {
    member.leave(member.instanceId !== null && this.random.next() < 0.5 ? -2 : -1)
  }

  committed({ name }: ChurnMember, partition: number, epoch: number): void {
    this.commits++
    const last = this.#committers.get(partition)
    if (last && last.name !== name && last.epoch > epoch)
      this.violated(`${partition} of ${last.name} (${last.epoch}) committed by ${name} (${epoch})`)
    this.#committers.set(partition, { epoch, name })
  }

  get isSettled(): boolean {
    const machine = this.coordinator.group(GROUP)?.machine
    if (machine?.type !== 'consumer' || machine.phase !== 'Stable') return false
    const ids = [...machine.members].map(({ memberId }) => memberId).sort()
    const expected = this.live.map(({ name }) => name).sort()
    return ids.join() === expected.join() && this.isEverythingRead
  }

  get loads(): number[] {
    return this.live.map(({ partitions }) => partitions.length)
  }
}

test.each([1, 2, 3])(
  '[GRP-43] 50 members come, leave, freeze and die on 24 partitions (seed %i)',
  async (seed) => {
    const churn = new NextChurn(seed)
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
