/** Many members that come, leave and crash while records keep coming: every one is handled, and all is committed. */
import { expect, onTestFinished, test } from 'vitest'
import { connect, type Ottla, string } from '../../../client/index.ts'
import type { Transport } from '../../../client/transport/transport.ts'
import { webSocketTransport } from '../../../client/transport/websocket.ts'
import { findWebSocket } from '../../../client/transport/ws-package.ts'
import { randomBelow, seededRandom } from '../../../protocol/lib/random.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'
import { startRelay } from '../../support/relay.ts'

const PARTITIONS = 8
const ROUNDS = 8
const SESSION_MS = 800
const OPTIONS = {
  classic: { groupProtocol: 'classic', sessionTimeoutMs: SESSION_MS, rebalanceTimeoutMs: 2_000, heartbeatMs: 100 },
  consumer: { groupProtocol: 'consumer', rebalanceTimeoutMs: 2_000 },
} as const

/** A network that can be cut for good: what a process leaves behind that is killed. */
function mortal(inner: Transport) {
  const cuts = new Set<() => void>()
  let isDead = false
  const transport: Transport = {
    open(url, handlers) {
      const connection = inner.open(isDead ? 'ws://127.0.0.1:9' : url, handlers)
      cuts.add(() => connection.close(1000, 'killed'))
      return connection
    },
  }
  return {
    transport,
    kill() {
      isDead = true
      for (const cut of cuts) cut()
    },
  }
}

test.each(['classic', 'consumer'] as const)(
  '[CON-22] members crash, leave and come back: every record is handled at least once, and no commit is lost (%s)',
  async (protocol) => {
    const relay = await startRelay({
      files: new MemoryFiles(),
      config: {
        ...{ dataDir: 'data', kafkaPort: 0, groupInitialRebalanceDelayMs: 20, groupMinSessionTimeoutMs: 500 },
        ...{ groupConsumerSessionTimeoutMs: SESSION_MS, groupConsumerHeartbeatIntervalMs: 100 },
      },
    })
    const inner = webSocketTransport(await findWebSocket())
    const random = seededRandom(11)
    const writer = await connect(relay.websocket.url)
    onTestFinished(() => writer.close())
    await writer.admin.createTopics([{ name: 'work', partitions: PARTITIONS }])
    const work = writer.topic('work', { value: string })
    const handled = new Map<string, number>()
    const failures: unknown[] = []

    async function member() {
      const life = mortal(inner)
      const ottla: Ottla = await connect(relay.websocket.url, {
        transport: life.transport,
        backoff: { delayMsFirst: 20 },
      })
      const consumer = ottla
        .group('g', OPTIONS[protocol])
        .read('work', { value: string, from: 'beginning', commitEveryMs: 20 })
      let isDead = false
      const done = consumer.each(
        async ({ value }) => {
          await new Promise((resolve) => setTimeout(resolve, 1))
          if (!isDead) handled.set(value!, (handled.get(value!) ?? 0) + 1)
        },
        { concurrency: 4 },
      )
      done.catch((error: unknown) => isDead || failures.push(error))
      const crash = () => {
        isDead = true
        life.kill()
      }
      onTestFinished(() => ottla.close())
      return { crash, leave: () => consumer.close(), status: () => consumer.status }
    }

    const members = await Promise.all(Array.from({ length: 4 }, member))
    let written = 0
    for (let round = 0; round < ROUNDS; round++) {
      const messages = Array.from({ length: 40 }, (_, index) => ({
        value: `${written + index}`,
        partition: index % PARTITIONS,
      }))
      written += 40
      await Promise.all(work.sendAll(messages).map(({ committed }) => committed))
      const victim = members.splice(randomBelow(random, members.length), 1)[0]!
      if (round % 2 === 0) victim.crash()
      else await victim.leave()
      members.push(await member())
      await new Promise((resolve) => setTimeout(resolve, 50 + randomBelow(random, 250)))
    }
    const all = Array.from({ length: written }, (_, index) => `${index}`)
    await eventually(() => all.every((value) => handled.has(value)), { withinMs: 15_000 })
    const perPartition = written / PARTITIONS
    await eventually(
      () => {
        const parts = members.flatMap((each) => each.status()?.partitions ?? [])
        return parts.length === PARTITIONS && parts.every(({ committed }) => committed === perPartition)
      },
      { withinMs: 15_000 },
    )
    expect(failures).toEqual([])
    // Only what was under way when a member died comes again.
    const again = [...handled.values()].reduce((sum, times) => sum + times - 1, 0)
    expect(again).toBeLessThan(written / 2)
  },
  60_000,
)
