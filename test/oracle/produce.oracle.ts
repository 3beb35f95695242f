import { describe } from 'vitest'
import { ErrorCode } from '../../protocol/errors.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { describeProducers, initProducerId } from '../../protocol/messages/producers.ts'
import { stampProducer } from '../../protocol/record-batch.ts'
import { encodeBatch } from '../../protocol/records.ts'
import { eventually } from '../support/eventually.ts'
import { batchOf } from '../support/relay-client.ts'
import { closes, type Peer, scenario, type TopicOnPeer } from './support/compare.ts'

const utf8 = new TextEncoder()
const UNKNOWN_ID = 'AAAAAAAAAAAAAAAAAAAAQQ'

function write(
  { wire }: Pick<Peer, 'wire'>,
  { name, topicId }: TopicOnPeer,
  records: Uint8Array | null,
  options: { version?: number; acks?: number; partition?: number; transactionalId?: string | null } = {},
) {
  const { version = 12, acks = -1, partition = 0, transactionalId = null } = options
  const topicData = [{ name, topicId, partitionData: [{ index: partition, records }] }]
  return wire.call(produce, { transactionalId, acks, timeoutMs: 5000, topicData }, version)
}

const stamped = (producerId: number, producerEpoch: number, baseSequence: number, ...values: string[]) => {
  const batch = batchOf(...values)
  stampProducer(batch, { producerId, producerEpoch, baseSequence })
  return batch
}

/** A batch with one byte set, checksum left as it was. */
const withByte = (batch: Uint8Array, at: number, value: number) => {
  batch[at] = value
  return batch
}

/** A broker that has just started asks to come again. */
const newProducerId = ({ wire }: Peer) =>
  eventually(async () => {
    const answer = await wire.call(initProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 })
    return answer.errorCode === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS ? undefined : answer
  })

describe('Produce', () => {
  scenario('every version stores and answers', async (peer, observe) => {
    const topic = await peer.topic('versions')
    for (let version = 3; version <= 13; version++)
      observe(`version ${version}`, await write(peer, topic, batchOf('a', 'b'), { version }))
  })

  scenario('what cannot be stored', async (peer, observe) => {
    const topic = await peer.topic('refused', { configs: { 'max.message.bytes': '2000' } })
    const strange = { name: peer.unique('no-such-topic'), topicId: UNKNOWN_ID }
    observe('unknown topic by name', await write(peer, strange, batchOf('a')))
    observe('unknown topic by id', await write(peer, strange, batchOf('a'), { version: 13 }))
    observe('unknown partition', await write(peer, topic, batchOf('a'), { partition: 7 }))
    observe('negative partition', await write(peer, topic, batchOf('a'), { partition: -1 }))
    observe('acks 2', await write(peer, topic, batchOf('a'), { acks: 2 }))
    observe('too large', await write(peer, topic, batchOf('x'.repeat(3000))))
    observe('a flipped bit in the records', await write(peer, topic, withByte(batchOf('abc'), 70, 0xff)))
    const farAhead = encodeBatch([{ key: null, value: utf8.encode('a'), timestamp: Date.now() + 7_200_000 }])
    observe('two hours ahead', await write(peer, topic, farAhead))
    observe('nothing was stored', await write(peer, topic, batchOf('first')))
  })

  scenario('a compacted topic needs keys', async (peer, observe) => {
    const topic = await peer.topic('compacted', { configs: { 'cleanup.policy': 'compact' } })
    observe('without a key', await write(peer, topic, batchOf('a')))
    const keyed = encodeBatch([{ key: utf8.encode('k'), value: null, timestamp: 1_700_000_000_000 }])
    observe('a tombstone', await write(peer, topic, keyed))
  })

  scenario('LogAppendTime', async (peer, observe) => {
    const topic = await peer.topic('stamped', { configs: { 'message.timestamp.type': 'LogAppendTime' } })
    observe('the answer', await write(peer, topic, batchOf('a')))
  })

  scenario('without acknowledgement', async (peer, observe) => {
    const topic = await peer.topic('unacknowledged')
    const other = await peer.connect()
    const unanswered = write({ wire: other }, topic, batchOf('a'), { acks: 0 })
    observe('a good write, then another request', await write({ wire: other }, topic, batchOf('b')))
    unanswered.catch(() => {})
    const strange = { name: peer.unique('nothing'), topicId: UNKNOWN_ID }
    observe('a bad write', await closes(write({ wire: await peer.connect() }, strange, batchOf('a'), { acks: 0 })))
  })
})

describe('idempotent producers', () => {
  scenario('sequences', async (peer, observe) => {
    const topic = await peer.topic('sequences')
    const id = await newProducerId(peer)
    observe('a new id', id)
    const { producerId } = id
    observe('the first batch', await write(peer, topic, stamped(producerId, 0, 0, 'a', 'b')))
    observe('the same again', await write(peer, topic, stamped(producerId, 0, 0, 'a', 'b')))
    observe('the next', await write(peer, topic, stamped(producerId, 0, 2, 'c')))
    observe('a gap', await write(peer, topic, stamped(producerId, 0, 9, 'x')))
    observe('an old epoch', await write(peer, topic, stamped(producerId, -1, 3, 'x')))
    for (let sequence = 3; sequence < 9; sequence++)
      observe(`sequence ${sequence}`, await write(peer, topic, stamped(producerId, 0, sequence, 'd')))
    observe('older than the last five', await write(peer, topic, stamped(producerId, 0, 0, 'a', 'b')))
    observe('a new epoch that begins in the middle', await write(peer, topic, stamped(producerId, 1, 5, 'x')))
    observe('a new epoch', await write(peer, topic, stamped(producerId, 1, 0, 'e')))
    observe('the old epoch', await write(peer, topic, stamped(producerId, 0, 9, 'x')))
    observe('an unknown id that begins anywhere', await write(peer, topic, stamped(producerId + 1_000_000, 0, 77, 'f')))
    const described = await peer.wire.call(describeProducers, {
      topics: [{ name: topic.name, partitionIndexes: [0, 9] }],
    })
    const producers = described.topics[0]!.partitions.map(({ errorCode, activeProducers }) => ({
      errorCode,
      producers: activeProducers
        .map(({ producerEpoch, lastSequence }) => ({ producerEpoch, lastSequence }))
        .sort((a, b) => a.lastSequence - b.lastSequence),
    }))
    observe('described', producers)
  })
})

describe('Fetch', () => {
  const read = (
    { wire }: Pick<Peer, 'wire'>,
    { name, topicId }: TopicOnPeer,
    fetchOffset: number,
    options: Partial<{
      version: number
      partition: number
      currentLeaderEpoch: number
      lastFetchedEpoch: number
      partitionMaxBytes: number
      isolationLevel: number
    }> = {},
  ) => {
    const {
      version = 18,
      partition = 0,
      currentLeaderEpoch = -1,
      lastFetchedEpoch = -1,
      partitionMaxBytes = 1_000_000,
      isolationLevel = 0,
    } = options
    const partitions = [{ partition, fetchOffset, currentLeaderEpoch, lastFetchedEpoch, partitionMaxBytes }]
    return wire.call(
      fetch,
      { maxWaitMs: 0, minBytes: 1, isolationLevel, topics: [{ topic: name, topicId, partitions }] },
      version,
    )
  }

  scenario('every version reads the same bytes', async (peer, observe) => {
    const topic = await peer.topic('bytes')
    await write(peer, topic, batchOf('a', 'b'))
    await write(peer, topic, batchOf('c'))
    for (let version = 4; version <= 18; version++) {
      const { responses, ...rest } = await read(peer, topic, 0, { version })
      observe(`version ${version}`, { ...rest, responses })
    }
    observe('from the middle of a batch', await read(peer, topic, 1))
    observe('at the end', await read(peer, topic, 3))
    observe('one byte at most', await read(peer, topic, 0, { partitionMaxBytes: 1 }))
    observe('committed only', await read(peer, topic, 0, { isolationLevel: 1 }))
  })

  scenario('what cannot be read', async (peer, observe) => {
    const topic = await peer.topic('unreadable')
    await write(peer, topic, batchOf('a'))
    observe('past the end', await read(peer, topic, 9))
    observe('a negative offset', await read(peer, topic, -5))
    observe('unknown partition', await read(peer, topic, 0, { partition: 5 }))
    observe(
      'unknown topic by name',
      await read(peer, { name: peer.unique('none'), topicId: UNKNOWN_ID }, 0, { version: 12 }),
    )
    observe('unknown topic by id', await read(peer, { name: '', topicId: UNKNOWN_ID }, 0))
    observe('a newer leader epoch', await read(peer, topic, 0, { currentLeaderEpoch: 9 }))
    observe('the leader epoch of now', await read(peer, topic, 0, { currentLeaderEpoch: 0 }))
    observe('diverged', await read(peer, topic, 1, { lastFetchedEpoch: 5 }))
  })
})
