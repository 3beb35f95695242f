/** The members of one group, as they come and go. */
import type { Dice } from '../world/dice.ts'
import type { Host } from '../world/network.ts'
import type { Process } from '../world/process.ts'
import type { World } from '../world/world.ts'

/** Whatever protocol it speaks. */
export interface Member {
  readonly process: Process
  readonly host: Host
  readonly isGone: boolean
  /** Partitions that it holds, and how far it has committed in each. */
  readonly owned: ReadonlyMap<number, number>
  run(): Promise<void>
  leave(): void
  kill(): void
}

export interface ConsumerGroupOptions {
  world: World
  topic: string
  membersMax: number
  newMember(name: string): Member
  go(work: () => Promise<void>): void
}

export class ConsumerGroup {
  readonly topic: string
  members: Member[] = []
  readonly #options: ConsumerGroupOptions
  readonly #dice: Dice
  #made = 0

  constructor(options: ConsumerGroupOptions) {
    this.#options = options
    this.topic = options.topic
    this.#dice = options.world.dice.fork(`group on ${options.topic}`)
  }

  begin(): void {
    for (let index = 0; index < this.#dice.whole(1, this.#options.membersMax); index++) this.#enter()
  }

  /** One comes, goes, or dies. */
  changeMembers(): void {
    this.members = this.members.filter(({ isGone, process }) => !isGone && process.isAlive)
    if (this.members.length < this.#options.membersMax && this.#dice.chance(0.5)) return this.#enter()
    if (this.members.length < 2) return
    const index = this.#dice.below(this.members.length)
    const [member] = this.members.splice(index, 1)
    if (this.#dice.chance(0.5)) return member!.leave()
    this.#options.world.probes.reached('member killed')
    member!.kill()
  }

  /** Longer than its session may last: others take over what it goes on with when it thaws. */
  freezeMember(): void {
    if (this.members.length === 0) return
    this.#options.world.probes.reached('member frozen')
    this.#dice.pick(this.members).process.freeze(this.#dice.skewed(500, 20_000))
  }

  /** Every partition has an owner, and what is below these ends is committed. */
  hasDone(ends: ReadonlyMap<number, number>): boolean {
    return [...ends].every(([partition, end]) => this.members.some(({ owned }) => (owned.get(partition) ?? -1) >= end))
  }

  end(): void {
    for (const member of this.members) member.leave()
  }

  #enter(): void {
    const member = this.#options.newMember(`member${this.#made++}`)
    this.members.push(member)
    this.#options.go(() => member.run())
  }
}
