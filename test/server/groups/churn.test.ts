/** A group whose members come, leave, freeze and die at random: no partition ever has two owners, and peace returns. */
import { expect, test } from 'vitest'
import type { GroupCoordinator } from '../../../server/coordinator/runtime.ts'
import { Churn, GROUP, HEARTBEAT_MS, MEMBERS, SESSION_MS } from './churn.ts'
import { ChurnMember, type Observer } from './churn-member.ts'
import { openCoordinator } from './coordinator-fixture.ts'

class ClassicChurn extends Churn<ChurnMember> implements Observer {
  #coordinator!: GroupCoordinator
  /** Who committed last for each partition. */
  readonly #owners = new Map<number, { generationId: number; name: string }>()

  async open(): Promise<void> {
    this.#coordinator = await openCoordinator({ clock: this.clock, deadBytesMin: 64 * 1024, segmentBytes: 32 * 1024 })
  }

  protected newMember(name: string): ChurnMember {
    return new ChurnMember(name, this.#coordinator, this.clock, this)
  }

  protected leave(member: ChurnMember): void {
    member.leave()
  }

  committed({ name }: ChurnMember, partition: number, generationId: number): void {
    this.commits++
    const last = this.#owners.get(partition)
    this.#owners.set(partition, { generationId, name })
    if (!last || last.generationId < generationId) return
    if (last.generationId > generationId || last.name !== name)
      this.violated(`${partition} of ${last.name} (${last.generationId}) committed by ${name} (${generationId})`)
  }

  get isSettled(): boolean {
    const classic = this.#coordinator.group(GROUP)?.machine
    if (classic?.phase !== 'Stable') return false
    const ids = [...classic.members].map(({ memberId }) => memberId).sort()
    const expected = this.live.map(({ memberId }) => memberId).sort()
    return ids.join() === expected.join() && this.isEverythingRead
  }
}

test.each([1, 2, 3])(
  '[GRP-16] 50 members come, leave, freeze and die on 24 partitions (seed %i)',
  async (seed) => {
    const churn = new ClassicChurn(seed)
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
