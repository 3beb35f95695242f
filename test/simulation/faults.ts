/** What goes wrong in a world: one trouble after another, sometimes two at once, and everything made good at the end. */
import { POWER_CUT_MODELS } from '../../server/storage/memory-files.ts'
import type { Browser } from './clients/browser.ts'
import type { ConsumerGroup } from './clients/consumer-group.ts'
import type { KafkaClient } from './clients/kafka-client.ts'
import type { TransactionalApp } from './clients/transactional-app.ts'
import type { Dice } from './world/dice.ts'
import { NO_TROUBLE } from './world/disk.ts'
import type { Host } from './world/network.ts'
import type { RelayHost } from './world/relay-host.ts'
import type { World } from './world/world.ts'

type Fault = () => void

export interface Inhabitants {
  relay: RelayHost
  browsers: readonly Browser[]
  groups: readonly ConsumerGroup[]
  clients: readonly KafkaClient[]
  apps: readonly TransactionalApp[]
}

export class FaultPlan {
  readonly #world: World
  readonly #relay: RelayHost
  readonly #browsers: readonly Browser[]
  readonly #groups: readonly ConsumerGroup[]
  readonly #clients: readonly KafkaClient[]
  readonly #apps: readonly TransactionalApp[]
  readonly #dice: Dice
  readonly #blocked = new Set<Host>()
  readonly #faults: ReadonlyArray<[weight: number, fault: Fault]>
  #isOver = false

  constructor(world: World, { relay, browsers, groups, clients, apps }: Inhabitants) {
    this.#world = world
    this.#relay = relay
    this.#browsers = browsers
    this.#groups = groups
    this.#clients = clients
    this.#apps = apps
    this.#dice = world.dice.fork('faults')
    this.#faults = this.#swarm([
      [2, () => this.#killRelay()],
      [2, () => this.#cutRelayPower()],
      [1, () => this.#stopRelay()],
      [2, () => this.#partition()],
      [2, () => this.#resetConnections()],
      [1, () => this.#freezeRelay()],
      [1, () => this.#troubleDisk()],
      [1, () => this.#fillDisk()],
      [1, () => this.#jumpClock()],
      [3, () => this.#killTab()],
      [1, () => this.#closeTab()],
      [1, () => this.#secondTab()],
      [1, () => this.#freezeTab()],
      [1, () => this.#cutDevicePower()],
      [1, () => this.#fillDevice()],
      [2, () => this.#someGroup()?.changeMembers()],
      [1, () => this.#someGroup()?.freezeMember()],
      [1, () => this.#someApp()?.crash()],
      [1, () => this.#someApp()?.haunt(this.#dice.skewed(100, 20_000))],
    ])
  }

  begin(): void {
    if (this.#faults.length > 0) this.#next()
  }

  heal(): void {
    this.#isOver = true
    const { network } = this.#world
    for (const host of this.#blocked) network.unblock(host, this.#relay.host)
    this.#relay.disk.trouble = NO_TROUBLE
    this.#relay.disk.memory.capacityBytes = Number.POSITIVE_INFINITY
    for (const { storage } of this.#browsers) storage.isFull = false
    this.#relay.powerUp()
    this.#tend()
  }

  /** Each world has some kinds of trouble and not others: what always comes together hides what comes alone. */
  #swarm(all: Array<[number, Fault]>): Array<[number, Fault]> {
    const share = this.#dice.pick([0.2, 0.5, 0.9])
    return all.filter(() => this.#dice.chance(share))
  }

  #next(): void {
    this.#world.scheduler.after(this.#dice.skewed(300, 8_000), () => {
      if (this.#isOver) return
      this.#one()
      this.#next()
    })
  }

  #one(): void {
    const total = this.#faults.reduce((sum, [weight]) => sum + weight, 0)
    let rest = this.#dice.next() * total
    for (const [weight, fault] of this.#faults) {
      rest -= weight
      if (rest < 0) return fault()
    }
  }

  /** As a service manager and an operator would: what is down is started, what is damaged is started anew. */
  #tend(): void {
    const { scheduler } = this.#world
    if (this.#relay.isUp && this.#relay.isDegraded) this.#relay.kill()
    if (this.#relay.state === 'down') this.#relay.start()
    for (const browser of this.#browsers) if (browser.tabCount === 0) browser.openTab()
    scheduler.after(1_000, () => this.#tend())
  }

  #later(low: number, high: number, act: () => void): void {
    this.#world.scheduler.after(this.#dice.skewed(low, high), () => !this.#isOver && act())
  }

  #killRelay(): void {
    this.#relay.kill()
    this.#later(1, 5_000, () => this.#relay.powerUp())
  }

  #cutRelayPower(): void {
    this.#relay.cutPower(this.#dice.pick(POWER_CUT_MODELS))
    this.#later(100, 20_000, () => this.#relay.powerUp())
  }

  #stopRelay(): void {
    this.#relay.stop()
    this.#later(50, 15_000, () => this.#relay.powerUp())
  }

  #freezeRelay(): void {
    this.#world.probes.reached('relay frozen')
    this.#relay.freeze(this.#dice.skewed(50, 15_000))
  }

  #someHost(): Host {
    const members = this.#groups.flatMap((group) => group.members)
    const instances = this.#apps.map(({ current }) => current)
    return this.#dice.pick([...this.#browsers, ...this.#clients, ...members, ...instances].map(({ host }) => host))
  }

  #someGroup(): ConsumerGroup | undefined {
    return this.#groups.length > 0 ? this.#dice.pick(this.#groups) : undefined
  }

  #someApp(): TransactionalApp | undefined {
    return this.#apps.length > 0 ? this.#dice.pick(this.#apps) : undefined
  }

  #partition(): void {
    const { network, probes } = this.#world
    const host = this.#someHost()
    const direction = this.#dice.below(3)
    probes.reached('partition')
    if (direction !== 1) network.block(host, this.#relay.host)
    if (direction !== 2) network.block(this.#relay.host, host)
    this.#blocked.add(host)
    this.#later(100, 40_000, () => {
      this.#blocked.delete(host)
      network.unblock(host, this.#relay.host)
    })
  }

  #resetConnections(): void {
    this.#world.network.resetSome(this.#someHost(), this.#relay.host)
  }

  #troubleDisk(): void {
    const rate = this.#dice.pick([0.003, 0.03, 0.3])
    const kinds = ['syncFails', 'writeFails', 'readFails', 'nameFails', 'writesShort', 'stalls'] as const
    const trouble = { ...NO_TROUBLE }
    for (const kind of kinds) if (this.#dice.chance(0.4)) trouble[kind] = rate
    this.#world.trace.add('disk', `trouble ${JSON.stringify(trouble)}`)
    this.#relay.disk.trouble = trouble
    this.#later(500, 10_000, () => {
      this.#relay.disk.trouble = NO_TROUBLE
      // An operator sees that something is out of service.
      this.#later(100, 5_000, () => this.#relay.isUp && this.#relay.isDegraded && this.#killRelay())
    })
  }

  #fillDisk(): void {
    const { memory } = this.#relay.disk
    this.#world.probes.reached('disk full')
    this.#world.trace.add('disk', 'full')
    memory.capacityBytes = memory.usedBytes + this.#dice.below(3_000)
    this.#later(500, 20_000, () => {
      this.#world.trace.add('disk', 'has room')
      this.#relay.disk.memory.capacityBytes = Number.POSITIVE_INFINITY
    })
  }

  #jumpClock(): void {
    const host = this.#dice.chance(0.5) ? this.#relay.host : this.#someHost()
    const jumpMs = this.#dice.skewed(100, 40 * 86_400_000) * this.#dice.pick([-1, 1])
    this.#world.probes.reached('clock jumped')
    this.#world.trace.add(host.name, `clock jumps by ${jumpMs.toFixed(0)} ms`)
    host.wall.offsetMs += Math.round(jumpMs)
    this.#later(1_000, 30_000, () => {
      host.wall.offsetMs -= Math.round(jumpMs)
    })
  }

  #killTab(): void {
    const browser = this.#dice.pick(this.#browsers)
    browser.killTab()
    this.#later(10, 5_000, () => browser.tabCount === 0 && browser.openTab())
  }

  #closeTab(): void {
    const browser = this.#dice.pick(this.#browsers)
    browser.closeTab()
    this.#later(10, 5_000, () => browser.tabCount === 0 && browser.openTab())
  }

  #secondTab(): void {
    const browser = this.#dice.pick(this.#browsers)
    if (browser.tabCount !== 1) return
    this.#world.probes.reached('second tab')
    browser.openTab()
  }

  #freezeTab(): void {
    this.#world.probes.reached('tab frozen')
    this.#dice.pick(this.#browsers).freezeTab(this.#dice.skewed(100, 60_000))
  }

  #cutDevicePower(): void {
    const browser = this.#dice.pick(this.#browsers)
    browser.cutPower()
    this.#later(100, 10_000, () => browser.tabCount === 0 && browser.openTab())
  }

  #fillDevice(): void {
    const { storage } = this.#dice.pick(this.#browsers)
    storage.isFull = true
    this.#later(100, 10_000, () => {
      storage.isFull = false
    })
  }
}
