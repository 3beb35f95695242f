/**
 * A relay under load of every kind that is killed again and again, half of the times at a moment that is aimed at. What the
 * clients saw is a history for the checker.
 */
import { randomBelow, seededRandom } from '../../../protocol/lib/random.ts'
import { verifyDataDir } from '../../../server/engine/verify.ts'
import { nodeFiles } from '../../../server/storage/node-files.ts'
import { check, type Report } from '../../checker/check.ts'
import type { Operation } from '../../checker/history.ts'
import { RelayClient } from '../../support/relay-client.ts'
import { type ChildRelay, startChildRelay } from '../support/child-relay.ts'
import type { Actor } from './actor.ts'
import { AIMS, type KillAim } from './aims.ts'
import { Journal } from './journal.ts'
import { newestByKey, noteCommitted, Reader } from './readers.ts'
import { Committer, IdempotentWriter, KeyedWriter, type TopicAt, TransactionalWriter } from './writers.ts'

export interface KillReport {
  report: Report
  operations: readonly Operation[]
  /** How often each moment was hit. */
  hits: ReadonlyMap<string, number>
  complaints: string[]
  /** Keys of the compacted topic whose acknowledged value is gone. */
  stale: string[]
  /** Errors that relays logged, and what verification found in the end. */
  troubles: string[]
}

const ANYTIME = 'anytime'
const AIM_NAMES = Object.keys(AIMS)
/** An aimed kill that has not happened by then happens by hand. */
const AIMED_WITHIN_MS = 1500
const PARTITIONS = 3

export async function runKills(dataDir: string, kills: number, seed: number): Promise<KillReport> {
  const random = seededRandom(seed)
  const config = { dataDir, httpPort: 0, compactionCheckMs: 50 }
  const start = (killAt?: KillAim) =>
    startChildRelay({ config, checkpointBytes: 20_000, ...(killAt ? { killAt } : {}) }).catch(() => undefined)
  let relay: ChildRelay | undefined = await start()
  const url = () => relay?.websocket ?? 'ws://127.0.0.1:1'
  const troubles: string[] = []
  const admin = await RelayClient.open(url())
  const topics = await makeTopics(admin)

  const journal = new Journal()
  const shared = { journal, random, url }
  const writers = [0, 1, 2].map((index) => new IdempotentWriter(`w${index}`, { ...shared, topic: topics.plain }))
  const keyed = new KeyedWriter('keyed', { ...shared, topic: topics.keyed })
  const committer = new Committer('g', { journal, url, topic: topics.plain })
  const actors: Actor[] = [
    ...writers,
    ...[0, 1].map((index) => new TransactionalWriter(`tx${index}`, { ...shared, topic: topics.paid })),
    ...[keyed, committer],
    new Reader('tail', { journal, url, topic: topics.plain, isolation: 0 }),
    new Reader('committed-tail', { journal, url, topic: topics.paid, isolation: 1 }),
  ]
  const running = actors.map((actor) => actor.run())

  const hits = new Map<string, number>()
  const hit = (what: string) => hits.set(what, (hits.get(what) ?? 0) + 1)
  await relay!.kill()
  for (let kill = 0; kill < kills; kill++) {
    if (kill > 0 && kill % 100 === 0) console.log(`kills: ${kill} done`)
    const name = kill % 2 === 0 ? ANYTIME : AIM_NAMES[(kill >> 1) % AIM_NAMES.length]!
    const aim = AIMS[name]
    relay = await start(aim && { ...aim, at: 1 + randomBelow(random, 6) })
    // It may be hit while it starts.
    if (!relay) {
      hit(name)
      continue
    }
    relay.onTrouble(({ what }) => troubles.push(what))
    if (kill % 7 === 0) actors[randomBelow(random, actors.length)]!.disconnect()
    const hasKilledItself = await killOnce(relay, aim ? AIMED_WITHIN_MS : 20 + randomBelow(random, 200))
    hit(hasKilledItself ? name : ANYTIME)
  }
  relay = await start()
  for (const actor of actors) actor.stop()
  await Promise.all(running)

  const client = await RelayClient.open(url())
  for (const topic of [topics.plain, topics.paid]) {
    for (const isolation of [0, 1] as const) {
      await new Reader(`end-${topic.name}-${isolation}`, { journal, url, topic, isolation }).finish(client)
    }
  }
  await noteCommitted(journal, client, 'g', topics.plain)
  const newest = await newestByKey(client, topics.keyed.topicId)
  const stale = [...keyed.acked].filter(([key, serial]) => (newest.get(key) ?? -1) < serial).map(([key]) => key)
  journal.operations.push({ op: 'end', at: journal.now })
  await relay!.stop()
  for await (const { severity, log, message } of verifyDataDir(nodeFiles, dataDir)) {
    if (severity === 'error') troubles.push(`${log}: ${message}`)
  }
  const { operations } = journal
  return {
    report: check(operations),
    operations,
    hits,
    complaints: actors.flatMap((each) => each.complaints),
    stale,
    troubles,
  }
}

/** Waits for the relay to kill itself, else kills it. Returns whether it did by itself. */
async function killOnce(relay: ChildRelay, withinMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), withinMs)
  })
  const first = await Promise.race([relay.exited.then(() => 'itself' as const), timeout])
  clearTimeout(timer)
  if (first === 'late') await relay.kill()
  return first === 'itself'
}

async function makeTopics(admin: RelayClient): Promise<Record<'plain' | 'paid' | 'keyed', TopicAt>> {
  const small = { 'segment.bytes': '30000', 'retention.ms': '-1' }
  const make = async (name: string, partitions: number, configs: Record<string, string>): Promise<TopicAt> => ({
    ...{ name, partitions, topicId: await admin.createTopic(name, { partitions, configs }) },
  })
  const compact = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.1' }
  return {
    plain: await make('plain', PARTITIONS, small),
    paid: await make('paid', 2, small),
    keyed: await make('keyed', 1, { ...small, ...compact }),
  }
}
