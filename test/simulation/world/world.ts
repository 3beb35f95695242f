/** Everything that a simulated world consists of but its inhabitants. */
import { Dice } from './dice.ts'
import { type Host, Network } from './network.ts'
import { Probes } from './probes.ts'
import { Process } from './process.ts'
import { Scheduler } from './scheduler.ts'
import { Trace } from './trace.ts'

/** When every world begins, by its own clocks. */
export const WALL_START_MS = 1_750_000_000_000

export interface WorldOptions {
  seed: number
  keepsLines?: boolean
}

export class World {
  readonly seed: number
  readonly dice: Dice
  readonly scheduler = new Scheduler()
  readonly trace: Trace
  readonly probes = new Probes()
  readonly network: Network
  /** What must never happen, with the time at which it did. */
  readonly faults: string[] = []

  constructor({ seed, keepsLines = false }: WorldOptions) {
    this.seed = seed
    this.dice = new Dice(seed)
    this.trace = new Trace(this.scheduler, { keepsLines })
    const { scheduler, trace, probes } = this
    this.network = new Network({
      ...{ scheduler, trace, probes },
      dice: this.dice.fork('network'),
    })
  }

  host(name: string): Host {
    return this.network.host(name, WALL_START_MS + this.dice.fork(`wall of ${name}`).whole(-500, 500))
  }

  process(name: string, host: Host): Process {
    return new Process(name, this.scheduler, this.dice.fork(`process ${name}`), host.wall)
  }

  fail(what: string): void {
    this.trace.add('FAULT', what)
    this.faults.push(`at ${this.scheduler.now.toFixed(3)}: ${what}`)
  }
}
