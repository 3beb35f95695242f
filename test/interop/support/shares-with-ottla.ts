/**
 * A client's consumer and Ottla's own in one group, in each mix of protocols: Ottla's has all partitions, the other comes and
 * gets its share, goes, and Ottla's has all of them again. Every record is seen once.
 */
import { expect, onTestFinished, test } from 'vitest'
import type { GroupOptions } from '../../../client/group/options.ts'
import { bytes, connect } from '../../../client/node.ts'
import { eventually } from '../../support/eventually.ts'
import type { Driver, GroupProtocol } from './driver.ts'
import { isOracleRun, relayForClients } from './peer.ts'

const PARTITIONS = 4
/** Of each partition, while they share. */
const ROUNDS = 10

interface Mix {
  ottla: GroupOptions
  other: GroupProtocol
}

/** `range` is what most clients know. */
const CLASSIC: GroupOptions = { groupProtocol: 'classic', assignors: ['range'], heartbeatMs: 200 }
const MIXES: Readonly<Record<string, Mix>> = {
  'both classic': { ottla: CLASSIC, other: 'classic' },
  'Ottla consumer, the other classic': { ottla: { groupProtocol: 'consumer' }, other: 'classic' },
  'Ottla classic, the other consumer': { ottla: CLASSIC, other: 'consumer' },
  'both consumer': { ottla: { groupProtocol: 'consumer' }, other: 'consumer' },
}

export function testSharing(client: string, start: () => Driver, hasConsumerProtocol: boolean): void {
  // Ottla's consumers read from relays alone.
  if (isOracleRun) return
  test(`[CON-20] ${client}: shares a group with this client, in each mix of protocols`, async () => {
    const { relay, address, url } = await relayForClients()
    const driver = start()
    const ottla = await connect(url)
    onTestFinished(() => ottla.close())
    for (const [index, [title, mix]] of Object.entries(MIXES).entries()) {
      if (mix.other === 'consumer' && !hasConsumerProtocol) continue
      const [topic, group] = [`shared-${index}`, `g-${index}`]
      await relay.engine.createTopic({ name: topic, partitionCount: PARTITIONS, configs: {} })
      const seen: string[] = []
      const consumer = ottla.group(group, mix.ottla).read(topic, { key: bytes, from: 'beginning' })
      const done = consumer.each(({ partition, offset }) => void seen.push(`${partition}/${offset}`))
      const parts = (count: number) =>
        eventually(() => consumer.status?.partitions.length === count && consumer.status.state === 'reading', {
          ...{ withinMs: 30_000, what: `${title}: ${count} partitions are Ottla's` },
        })
      const write = async (rounds: number) => {
        const messages = Array.from({ length: rounds * PARTITIONS }, (_, at) => ({
          ...{ key: null, value: Uint8Array.of(at), partition: at % PARTITIONS },
        }))
        await Promise.all(
          ottla
            .topic(topic, { key: bytes })
            .sendAll(messages)
            .map(({ committed }) => committed),
        )
      }
      await parts(PARTITIONS)
      const others = driver.group(address, topic, group, ROUNDS * 2, mix.other)
      await Promise.race([parts(2), others])
      await write(ROUNDS)
      const read = await others
      await parts(PARTITIONS)
      await write(1)
      const seenByAll = () => [...seen, ...read.map(({ partition, offset }) => `${partition}/${offset}`)]
      await eventually(() => seenByAll().length === (ROUNDS + 1) * PARTITIONS, { what: `${title}: all are read` })
      expect(new Set(seenByAll()).size, title).toBe((ROUNDS + 1) * PARTITIONS)
      expect(new Set(read.map(({ partition }) => partition)).size, title).toBe(2)
      await consumer.close()
      await done
    }
  }, 180_000)
}
