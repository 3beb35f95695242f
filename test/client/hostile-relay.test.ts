/** Whatever a relay sends, the client neither throws nor hangs: it closes with 4400 and comes back. */
import { describe, expect, test } from 'vitest'
import { openSession } from '../../client/live-session.ts'
import { HandClock } from '../../protocol/lib/clock.ts'
import { randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { deliver, encodePush, heartbeat, subscriptionEnded } from '../../protocol/messages/offset-protocol.ts'
import { encodeBatch } from '../../protocol/records.ts'
import { APIS, RelayDouble, record } from './relay-double.ts'

async function setUp() {
  const relay = new RelayDouble()
  const clock = new HandClock()
  const random = seededRandom(9)
  let generation = 0
  const session = openSession({
    url: 'ws://relay',
    transport: relay,
    clock,
    random,
    identity: { replicaId: randomUuid(random), nextGeneration: () => ++generation },
  })
  const topicId = relay.createTopic('t')
  const frames: number[] = []
  const subscription = session.subscribe({
    topicId,
    partition: 0,
    position: () => ({ offset: 0, leaderEpoch: -1 }),
    credit: 1_000_000,
    onDeliver: (frame) => frames.push(frame.nextOffset),
    // Noise may well say that the subscription is over; its owner then asks again.
    onEnded: ({ retryInMs }) => {
      if (retryInMs === null) subscription.restart()
    },
  })
  await clock.advanceAsync(0)
  return { relay, clock, session, topicId, frames }
}

function pushesOf(topicId: string): Record<string, Uint8Array> {
  return {
    deliver: encodePush(deliver, {
      topicId,
      partition: 0,
      leaderEpoch: 0,
      logStart: 0,
      highWatermark: 1,
      lastStableOffset: 1,
      nextOffset: 1,
      aborted: [{ producerId: 1, firstOffset: 0, lastOffset: 0 }],
      records: encodeBatch([record('a')]),
    }),
    heartbeat: encodePush(heartbeat, { serverTimeMs: 1 }),
    subscriptionEnded: encodePush(subscriptionEnded, { topicId, partition: 0, errorCode: 56 }),
  }
}

describe('a frame cut off at any byte', () => {
  test.each(['deliver', 'heartbeat', 'subscriptionEnded'])('%s', async (kind) => {
    const { relay, clock, session, topicId } = await setUp()
    const whole = pushesOf(topicId)[kind]!
    for (let length = 0; length < whole.length; length++) {
      expect(session.state.phase).toBe('live')
      const connection = relay.last
      connection.sendRaw(whole.slice(0, length))
      expect(connection.closedByClient).toMatchObject([{ code: 4400 }])
      expect(session.state).toMatchObject({ phase: 'offline', error: { code: 'PROTOCOL' } })
      session.retryNow()
      await clock.advanceAsync(0)
    }
  })
})

test('answers to requests that nobody made, and unknown kinds of pushes', async () => {
  const { relay, session } = await setUp()
  // int32 -1, key 29999, version 0: a push of a later protocol is none of our business.
  relay.last.sendRaw(new Uint8Array([255, 255, 255, 255, 0x75, 0x2f, 0, 0, 1, 2, 3]))
  expect(session.state.phase).toBe('live')
  relay.last.sendRaw(new Uint8Array([0, 0, 0x7f, 0, 1, 2, 3]))
  expect(relay.last.closedByClient).toMatchObject([{ code: 4400 }])
})

test('an answer that makes no sense rejects its request and ends the connection', async () => {
  const { relay, clock, session } = await setUp()
  relay.intercept = (request, connection) => {
    if (request.name !== 'Metadata') return false
    const garbage = new Uint8Array(20).fill(0x7f)
    new DataView(garbage.buffer).setInt32(0, request.correlationId)
    connection.sendRaw(garbage)
    return true
  }
  const lookUp = expect(session.metadata.lookUp('t')).rejects.toMatchObject({ code: 'PROTOCOL' })
  await clock.advanceAsync(0)
  await lookUp
  expect(session.state.phase).toBe('offline')
})

test('[SES-10] 20,000 frames of noise: every one is survived, and the next good connection works', async () => {
  const { relay, clock, session, topicId, frames } = await setUp()
  const random = seededRandom(20_261_122)
  const pushes = Object.values(pushesOf(topicId))
  let closed = 0
  for (let round = 0; round < 20_000; round++) {
    const frame = pushes[randomBelow(random, pushes.length)]!.slice(0, 1 + randomBelow(random, 120))
    for (let flips = randomBelow(random, 4); flips >= 0; flips--) {
      frame[randomBelow(random, frame.length)] = randomBelow(random, 256)
    }
    const connection = relay.last
    connection.sendRaw(frame)
    if (!connection.isOver) continue
    closed++
    expect(connection.closedByClient[0]!.code).toBe(4400)
    session.retryNow()
    await clock.advanceAsync(0)
    expect(session.state.phase).toBe('live')
  }
  expect(closed).toBeGreaterThan(1_000)
  relay.last.closeByRelay(1001)
  session.retryNow()
  await clock.advanceAsync(0)
  relay.append('t', [record('a')])
  expect(frames.at(-1)).toBe(1)
})

test.each(['Subscribe', 'Grant', 'Unsubscribe', 'Ping'])(
  '[SES-10] a relay that offers the offset protocol without %s is refused in the handshake, not when that is needed',
  async (missing) => {
    const relay = new RelayDouble()
    relay.intercept = (request, connection) => {
      if (request.name !== 'ApiVersions') return false
      const apiKeys = APIS.filter(({ name }) => name !== missing).map(({ key: apiKey, minVersion, maxVersion }) => ({
        ...{ apiKey, minVersion, maxVersion },
      }))
      connection.answer(request, { errorCode: 0, apiKeys })
      return true
    }
    const [clock, random] = [new HandClock(), seededRandom(1)]
    const identity = { replicaId: randomUuid(random), nextGeneration: () => 1 }
    const session = openSession({ url: 'ws://relay', transport: relay, clock, random, identity })
    await clock.advanceAsync(0)
    expect(session.state).toMatchObject({
      phase: 'closed',
      error: { code: 'UNSUPPORTED', message: `${missing} is not offered there` },
    })
  },
)

test('a handshake answered with nonsense values neither spins a timer nor takes away all limits', async () => {
  const relay = new RelayDouble()
  relay.heartbeatMs = -5
  relay.creditBytesMax = -1
  relay.requestBytesMax = 0
  const clock = new HandClock()
  const identity = { replicaId: randomUuid(seededRandom(1)), nextGeneration: () => 1 }
  const session = openSession({ url: 'ws://relay', transport: relay, clock, random: seededRandom(1), identity })
  await clock.advanceAsync(0)
  expect(session.limits).toMatchObject({ creditBytesMax: 1024, requestBytesMax: 1024 })
  await clock.advanceAsync(2_499)
  expect(session.state.phase).toBe('live')
  await clock.advanceAsync(1)
  expect(session.state.phase).toBe('offline')
})
