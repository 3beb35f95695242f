/**
 * Hostile requests by the thousand, through both doors, from strangers and from those who have signed in. OTTLA_FUZZ says
 * how many (`npm run test:fuzz`: 200,000).
 *
 * A failing run prints its seed and the cases that were under way; OTTLA_FUZZ_SEED=S OTTLA_FUZZ_CASE=N,M runs just those.
 */
import { rm, writeFile } from 'node:fs/promises'
import { expect, onTestFinished, test } from 'vitest'
import { type Caller, signInPlain } from '../server/auth/sign-in.ts'
import { type ChildRelay, startChildRelay } from '../server/support/child-relay.ts'
import { temporaryFolder } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { suiteSeed } from '../support/suite-seed.ts'
import { answerTimes } from './answer-times.ts'
import { type FuzzCase, makeCase, VERSIONS_COUNT } from './cases.ts'
import { Flood } from './flood.ts'
import { House } from './house.ts'
import { KnownValues } from './known-values.ts'
import { loadSessions } from './recorded-requests.ts'

const COUNT = Number(process.env.OTTLA_FUZZ ?? 20_000)
const SEED = suiteSeed('OTTLA_FUZZ_SEED')
const ONLY = process.env.OTTLA_FUZZ_CASE?.split(',').map(Number)

/** Caches fill and code is compiled before memory is weighed. */
const WARM_UP = 3000
const WIDTH = 16
const TIDY_EVERY = 2000
const RESTORE_EVERY = 40
const STALL_MS_MAX = 200
const ANSWER_MS_MAX = 100
const GROWTH_BYTES_MAX = 64 * 1024 * 1024

test(
  '[RPC-10] mutated requests of every API and version, through both doors: the relay stays up, answers others, and is no larger afterwards',
  async () => {
    console.log(`hostile requests: OTTLA_FUZZ_SEED=${SEED}, ${COUNT} cases`)
    const attack = await Attack.begin()
    if (ONLY) await attack.runOnly(ONLY)
    else await attack.run(COUNT, COUNT + WARM_UP)
    const before = await attack.relay.report()
    const running = ONLY ? Promise.resolve() : attack.run(0, COUNT)
    const times = await answerTimes(attack.healthy, running)
    await running
    const after = await attack.relay.report()

    const { answered, refused, abandoned, faults, sent } = attack.flood.outcome
    const grownBytes = after.heapBytes + after.bufferBytes - before.heapBytes - before.bufferBytes
    console.log({ answered, refused, abandoned, ...times, longestStall: after.longestStall, grownBytes })
    expect(attack.troubles).toEqual([])
    expect(after.uncaught).toEqual([])
    expect(faults).toEqual([])
    expect(attack.healthy.closed).toBeUndefined()
    if (ONLY) return
    expect(after.longestStall?.stalledMs ?? 0).toBeLessThan(STALL_MS_MAX)
    expect(grownBytes).toBeLessThan(GROWTH_BYTES_MAX)
    // Where a process with nothing to do waits long, one that is flooded waits longer.
    expect(times.relayP99Ms).toBeLessThan(Math.max(ANSWER_MS_MAX, 4 * times.machineP99Ms))
    expect(answered).toBeGreaterThan(COUNT / 5)
    expect(refused).toBeGreaterThan(COUNT / 10)
    // What was generated, not only what passed: each API and version went through each door.
    expect(sent.size).toBeGreaterThanOrEqual(2 * VERSIONS_COUNT)
  },
  60_000 + COUNT * 10,
)

const signIn = (to: Caller) => signInPlain(to, 'alice', 'secret')

class Attack {
  readonly relay: ChildRelay
  readonly healthy: RelayClient
  readonly flood: Flood
  /** What the relay complained of, with the cases that were under way. */
  readonly troubles: string[] = []
  readonly #house: House
  readonly #make: (index: number) => FuzzCase

  static async begin(): Promise<Attack> {
    const dataDir = await temporaryFolder()
    const [usersFile, saslOauthbearerSecretFile] = [`${dataDir}.users`, `${dataDir}.secret`]
    await writeFile(usersFile, 'alice:secret\n')
    await writeFile(saslOauthbearerSecretFile, 'of both sides, and of more than thirty-two bytes')
    onTestFinished(async () => {
      for (const file of [usersFile, saslOauthbearerSecretFile]) await rm(file)
    })
    const relay = await startChildRelay({
      config: {
        ...{ httpPort: 0, kafkaPort: 0, dataDir, usersFile, groupInitialRebalanceDelayMs: 0 },
        ...{
          saslEnabledMechanisms: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'],
          saslOauthbearerSecretFile,
        },
        ...{ accessControl: 'lists', superUsers: ['alice'] },
      },
    })
    // One each: answers come in order, and a ping would wait behind the topics that are made.
    const [healthy, keeper] = [await RelayClient.open(relay.websocket), await RelayClient.open(relay.websocket)]
    await Promise.all([signIn(healthy), signIn(keeper)])
    const attack = new Attack(relay, healthy, keeper)
    await attack.#house.tidy()
    return attack
  }

  constructor(relay: ChildRelay, healthy: RelayClient, keeper: RelayClient) {
    this.relay = relay
    this.healthy = healthy
    const known = new KnownValues()
    const house = new House(keeper, known)
    this.#house = house
    this.flood = new Flood({ kafka: relay.kafka!, websocket: relay.websocket }, known, signIn)
    const sources = { seed: SEED, known, sessions: loadSessions(), topicIds: () => house.topicIds }
    this.#make = (index) => makeCase(index, sources)
    relay.onTrouble(({ what }) => this.troubles.push(`${what}\nunder way: ${described(this.flood.underWay)}`))
  }

  async run(from: number, to: number): Promise<void> {
    for (let at = from; at < to; at += TIDY_EVERY) {
      await this.flood.run(this.#cases(at, Math.min(at + TIDY_EVERY, to)), WIDTH)
      await this.#house.tidy()
    }
  }

  async runOnly(indexes: readonly number[]): Promise<void> {
    for (const index of indexes) await this.flood.run(this.#cases(index, index + 1), 1)
  }

  *#cases(from: number, to: number): Generator<FuzzCase> {
    for (let index = from; index < to; index++) {
      if (index % RESTORE_EVERY === 0) void this.#house.restore()
      yield this.#make(index)
    }
  }
}

function described(underWay: ReadonlyMap<number, readonly string[]>): string {
  return [...underWay].map(([index, sent]) => `case ${index}: ${sent.join(' ').slice(0, 4000)}`).join('\n')
}
