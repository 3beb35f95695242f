/** Which frames the fan-out builds, and who gets the same one: counted by identity, not by content. */
import { expect, test } from 'vitest'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { FROM_END, FROM_START } from '../../../protocol/messages/offset-protocol.ts'
import type { Engine, Topic } from '../../../server/engine.ts'
import type { Frame } from '../../../server/fan-out/frame.ts'
import { Hub } from '../../../server/fan-out/hub.ts'
import type { PartitionLog } from '../../../server/log/partition-log.ts'
import type { Peer } from '../../../server/peer.ts'
import { batchOf } from '../../support/batches.ts'
import { eventually } from '../../support/eventually.ts'
import { openLog } from '../log/log-fixture.ts'

class CountingPeer implements Peer {
  readonly isClosed = false
  readonly unsentBytes = 0
  subscriptions: Peer['subscriptions']
  readonly frames: Frame[] = []
  sendFrame(frame: Frame): void {
    this.frames.push(frame)
  }
  sendMessage(): void {}
  principal = () => ({ name: 'ANONYMOUS', clientId: null, host: '127.0.0.1' })
  close(): void {}
}

const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'

async function fanOut() {
  const log = await openLog()
  const hub = new Hub({ onTopicDeleted: () => () => {} } as unknown as Engine, new HandClock())
  const topic = { id: TOPIC_ID, name: 't', partitions: [log] } as unknown as Topic
  const join = (isCommitted: boolean, offset = FROM_END) => {
    const peer = new CountingPeer()
    hub.subscribe(peer, topic, { partition: 0, offset, leaderEpoch: -1, credit: 10_000_000, isCommitted }).begin!()
    return peer
  }
  return { log, join }
}

const inTransaction = (value: string, sequence: number) =>
  batchOf([value], { producer: { id: 7, sequence, isTransactional: true } })

const end = (log: PartitionLog, outcome: 'commit' | 'abort') =>
  log.appendMarker({ producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, outcome }).durable

test('[SYN-32] without transactions every frame at the tail is one buffer for all, whatever they subscribed to', async () => {
  const { log, join } = await fanOut()
  const peers = Array.from({ length: 20 }, (_, index) => join(index % 2 === 0))
  for (let index = 0; index < 30; index++) await log.append(batchOf([`${index}`])).durable
  const frames = peers[0]!.frames
  expect(frames.at(-1)!.nextOffset).toBe(30)
  for (const peer of peers) {
    expect(peer.frames).toHaveLength(frames.length)
    expect(peer.frames.every((frame, index) => frame === frames[index])).toBe(true)
  }
  await log.close()
})

test('[SYN-32] with a transaction open, and when it has ended, each kind of subscriber shares one frame', async () => {
  const { log, join } = await fanOut()
  const all = [join(false), join(false)]
  const committed = [join(true), join(true), join(true)]
  await log.append(batchOf(['before'])).durable
  expect(committed[0]!.frames.at(-1)).toBe(all[0]!.frames.at(-1))
  await log.append(inTransaction('a', 0)).durable
  await log.append(inTransaction('b', 1)).durable
  expect(committed[0]!.frames.at(-1)!.nextOffset).toBe(1)
  await end(log, 'abort')
  for (const [first, ...others] of [all, committed]) {
    expect(first!.frames.at(-1)!.nextOffset).toBe(4)
    for (const other of others) expect(other.frames.at(-1)).toBe(first!.frames.at(-1))
  }
  // The committed ones get all that was held back at once; from then on everybody stands at the same offset.
  expect(committed[0]!.frames.at(-1)!.baseOffset).toBe(1)
  await log.append(batchOf(['after'])).durable
  expect(committed[0]!.frames.at(-1)).toBe(all[0]!.frames.at(-1))
  await log.close()
})

test('[SYN-32] catching up, both kinds are given the same frame', async () => {
  const { log, join } = await fanOut()
  const value = 'x'.repeat(1000)
  for (let index = 0; index < 100; index++) await log.append(inTransaction(value, index)).durable
  await end(log, 'abort')
  const peers = [join(false, FROM_START), join(true, FROM_START), join(true, FROM_START)]
  await eventually(() => peers.every(({ frames }) => frames.at(-1)?.nextOffset === 101))
  for (const peer of peers) expect(peer.frames[0]).toBe(peers[0]!.frames[0])
  await log.close()
})
