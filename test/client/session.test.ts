import { describe, expect, test } from 'vitest'
import { openSession, type SessionOptions } from '../../client/live-session.ts'
import type { ConnectionState, SubscriptionEnd } from '../../client/session.ts'
import { HandClock } from '../../protocol/lib/clock.ts'
import { seededRandom } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { describeCluster } from '../../protocol/messages/metadata.ts'
import type { Deliver } from '../../protocol/messages/offset-protocol.ts'
import { ping } from '../../protocol/messages/offset-protocol.ts'
import { RelayDouble, record } from './relay-double.ts'

function setUp(more: Partial<SessionOptions> = {}) {
  const relay = new RelayDouble()
  const clock = new HandClock()
  const random = seededRandom(1)
  let generation = 0
  let wake = () => {}
  const session = openSession({
    url: 'ws://relay',
    transport: relay,
    clock,
    random,
    identity: { replicaId: randomUuid(random), nextGeneration: () => ++generation },
    wakeUps: {
      listen(fn) {
        wake = fn
        return () => {}
      },
    },
    ...more,
  })
  const states: ConnectionState[] = []
  session.onState((state) => states.push(state))
  return { relay, clock, session, states, wake: () => wake() }
}

const phases = (states: ConnectionState[]) => states.map(({ phase }) => phase)

/** A subscription that keeps what it got and asks for what follows. */
function follow(session: ReturnType<typeof setUp>['session'], topicId: string, credit = 1_000_000) {
  const frames: Deliver[] = []
  const ends: SubscriptionEnd[] = []
  const seen = { offset: 0, leaderEpoch: -1 }
  const subscription = session.subscribe({
    topicId,
    partition: 0,
    position: () => ({ ...seen }),
    credit,
    onDeliver(frame) {
      frames.push(frame)
      seen.offset = frame.nextOffset
      seen.leaderEpoch = frame.leaderEpoch
    },
    onEnded: (end) => ends.push(end),
  })
  return { frames, ends, seen, subscription }
}

describe('handshake', () => {
  test('names the software, then the replica and its generation, in one round trip', async () => {
    const { relay, clock, session, states } = setUp()
    relay.serverTimeMs = () => clock.now() + 5_000
    await clock.advanceAsync(0)
    expect(session.state.phase).toBe('live')
    expect(phases(states)).toEqual(['connecting', 'live'])
    const [versions, hello] = relay.last.requests
    expect(versions).toMatchObject({ name: 'ApiVersions', version: 3, body: { clientSoftwareName: 'ottla-js' } })
    expect(hello).toMatchObject({ name: 'Hello', body: { generation: 1, heartbeatMs: 10_000 } })
    expect(session.clockOffsetMs).toBe(5_000)
    expect(session.limits?.clusterId).toBe('double')
  })

  test('a relay without the offset protocol is left for good, with UNSUPPORTED', async () => {
    const { relay, clock, session } = setUp()
    relay.intercept = (request, connection) => {
      if (request.name !== 'ApiVersions') return false
      connection.answer(request, { errorCode: 0, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 3 }] })
      return true
    }
    await clock.advanceAsync(0)
    expect(session.state).toMatchObject({ phase: 'closed', error: { code: 'UNSUPPORTED' } })
    await clock.advanceAsync(60_000)
    expect(relay.connections).toHaveLength(1)
    await expect(session.call(describeCluster, { includeClusterAuthorizedOperations: false })).rejects.toMatchObject({
      retriable: false,
    })
  })

  test('a relay that never answers is given up after the connect timeout, and tried again', async () => {
    const { relay, clock, session } = setUp({ connectTimeoutMs: 3_000 })
    relay.intercept = () => true
    await clock.advanceAsync(2_999)
    expect(session.state.phase).toBe('connecting')
    await clock.advanceAsync(1)
    expect(session.state.phase).toBe('offline')
    await clock.advanceAsync(1_000)
    expect(relay.connections.length).toBe(2)
  })
})

describe('reconnecting', () => {
  test('[SES-2] delays stay within full jitter bounds and grow to the maximum', async () => {
    const { relay, clock, states } = setUp({ backoff: { delayMsFirst: 100, delayMsMax: 1_600 } })
    relay.opensAtOnce = false
    const delays: number[] = []
    for (let attempt = 0; attempt < 12; attempt++) {
      await clock.advanceAsync(0)
      relay.last.closeByRelay(1006)
      await clock.advanceAsync(0)
      const state = states.at(-1)!
      if (state.phase !== 'offline') throw new Error(`expected offline, got ${state.phase}`)
      const delayMs = state.retryAtMs - clock.now()
      expect(delayMs).toBeLessThanOrEqual(Math.min(1_600, 100 * 2 ** attempt))
      delays.push(delayMs)
      await clock.advanceAsync(delayMs + 0.01)
      expect(relay.connections.length).toBe(attempt + 2)
    }
    expect(new Set(delays).size).toBeGreaterThan(10)
  })

  test('the back-off is forgotten only after a connection that held', async () => {
    const { relay, clock, session } = setUp({ backoff: { stableAfterMs: 10_000 } })
    await clock.advanceAsync(0)
    const attempts: number[] = []
    for (const heldMs of [0, 9_999, 10_000, 0]) {
      await clock.advanceAsync(heldMs)
      relay.last.closeByRelay(1001)
      if (session.state.phase === 'offline') attempts.push(session.state.attempt)
      // Back at once, so that only the time held differs.
      session.retryNow()
      await clock.advanceAsync(0)
      expect(session.state.phase).toBe('live')
    }
    expect(attempts).toEqual([1, 2, 1, 2])
  })

  test('a wake-up connects at once', async () => {
    const { relay, clock, session, wake } = setUp({ backoff: { delayMsFirst: 20_000 } })
    await clock.advanceAsync(0)
    relay.last.closeByRelay(1012)
    expect(session.state.phase).toBe('offline')
    wake()
    await clock.advanceAsync(0)
    expect(session.state.phase).toBe('live')
    expect(relay.connections.length).toBe(2)
    expect(relay.last.named('Hello')[0]!.body.generation).toBe(2)
  })

  test.each([1001, 1006, 1011, 1012, 1013, 4408, 4999])('close code %i comes back', async (code) => {
    const { relay, clock, session } = setUp()
    await clock.advanceAsync(0)
    relay.last.closeByRelay(code)
    expect(session.state).toMatchObject({ phase: 'offline', error: { code: 'DISCONNECTED' } })
    await clock.advanceAsync(500)
    expect(session.state.phase).toBe('live')
  })

  test.each([
    [1002, 'REFUSED'],
    [1008, 'REFUSED'],
    [1009, 'REFUSED'],
    [4400, 'REFUSED'],
    [4403, 'REFUSED'],
    [4409, 'REPLACED'],
  ])('close code %i ends the session with %s', async (closeCode, code) => {
    const { relay, clock, session } = setUp()
    await clock.advanceAsync(0)
    relay.last.closeByRelay(closeCode)
    await clock.advanceAsync(100_000)
    expect(session.state).toMatchObject({ phase: 'closed', error: { code } })
    expect(relay.connections.length).toBe(1)
    await expect(session.call(ping, { clientTimeMs: 1 })).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('[SES-4] 4401 waits for fresh credentials', async () => {
    const { relay, clock, session } = setUp()
    await clock.advanceAsync(0)
    relay.last.closeByRelay(4401)
    await clock.advanceAsync(100_000)
    expect(session.state.phase).toBe('needs-auth')
    await expect(session.call(ping, { clientTimeMs: 1 })).rejects.toMatchObject({ code: 'NEEDS_AUTH' })
    session.reauthenticate()
    await clock.advanceAsync(0)
    expect(session.state.phase).toBe('live')
  })
})

describe('heartbeats', () => {
  test('[SES-3] silence for 2.5 heartbeats is death', async () => {
    const { relay, clock, session } = setUp()
    await clock.advanceAsync(0)
    await clock.advanceAsync(24_999)
    expect(session.state.phase).toBe('live')
    await clock.advanceAsync(1)
    expect(relay.connections[0]!.closedByClient).toMatchObject([{ code: 4408 }])
    expect(session.state.phase).toBe('offline')
  })

  test('any frame counts as a sign of life', async () => {
    const { relay, clock, session } = setUp()
    await clock.advanceAsync(0)
    for (let round = 0; round < 10; round++) {
      await clock.advanceAsync(20_000)
      relay.last.heartbeat()
    }
    expect(session.state.phase).toBe('live')
    expect(relay.connections.length).toBe(1)
  })

  test('a wake-up while live probes with Ping; an answer keeps the connection, none ends it', async () => {
    const { relay, clock, session, wake } = setUp({ probeTimeoutMs: 4_000 })
    await clock.advanceAsync(0)
    wake()
    await clock.advanceAsync(5_000)
    expect(session.state.phase).toBe('live')
    expect(relay.last.named('Ping').length).toBe(1)
    relay.intercept = (request) => request.name === 'Ping'
    wake()
    await clock.advanceAsync(3_999)
    expect(session.state.phase).toBe('live')
    await clock.advanceAsync(1)
    expect(session.state.phase).not.toBe('live')
  })
})

describe('calls', () => {
  test('[SES-1] are refused while offline, rejected when the connection ends, and time out', async () => {
    const { relay, clock, session } = setUp({ requestTimeoutMs: 7_000 })
    await expect(session.call(ping, { clientTimeMs: 1 })).rejects.toMatchObject({ code: 'DISCONNECTED' })
    await clock.advanceAsync(0)
    relay.intercept = (request) => request.name === 'Ping'
    const cut = expect(session.call(ping, { clientTimeMs: 1 })).rejects.toMatchObject({ code: 'DISCONNECTED' })
    await clock.advanceAsync(0)
    relay.last.closeByRelay(1006)
    await cut
    await clock.advanceAsync(500)
    const late = expect(session.call(ping, { clientTimeMs: 1 })).rejects.toMatchObject({ code: 'TIMEOUT' })
    await clock.advanceAsync(7_000)
    await late
    // The answer that comes after all is dropped, and the connection stays.
    relay.last.answer(relay.last.named('Ping')[0]!, { clientTimeMs: 1, serverTimeMs: 2 })
    expect(session.state.phase).toBe('live')
  })

  test('end with their signal', async () => {
    const { relay, clock, session } = setUp()
    await clock.advanceAsync(0)
    relay.intercept = (request) => request.name === 'Ping'
    const abort = new AbortController()
    const call = expect(session.call(ping, { clientTimeMs: 1 }, { signal: abort.signal })).rejects.toMatchObject({
      code: 'ABORTED',
    })
    abort.abort()
    await call
  })

  test('wait, unencoded and in order, while the network takes nothing', async () => {
    const { relay, clock, session } = setUp()
    await clock.advanceAsync(0)
    relay.last.bufferedBytes = 64 * 1024 * 1024
    const calls = [1, 2, 3].map((clientTimeMs) => session.call(ping, { clientTimeMs }))
    await clock.advanceAsync(1_000)
    expect(relay.last.named('Ping').length).toBe(0)
    relay.last.bufferedBytes = 0
    await clock.advanceAsync(20)
    await Promise.all(calls)
    expect(relay.last.named('Ping').map(({ body }) => body.clientTimeMs)).toEqual([1, 2, 3])
  })

  test('larger than the relay takes are refused here, since the relay would end the session for good', async () => {
    const { relay, clock, session } = setUp()
    relay.requestBytesMax = 2_000
    await clock.advanceAsync(0)
    const topics = [{ name: 'x'.repeat(3_000) }]
    const { metadata } = await import('../../protocol/messages/metadata.ts')
    await expect(session.call(metadata, { topics })).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(session.state.phase).toBe('live')
  })

  test('more than the bound are refused, none is queued without end', async () => {
    const { relay, clock, session } = setUp()
    await clock.advanceAsync(0)
    relay.intercept = (request) => request.name === 'Ping'
    const calls = Array.from({ length: 1_025 }, () => session.call(ping, { clientTimeMs: 1 }))
    await expect(calls[1_024]).rejects.toMatchObject({ code: 'BUFFER_FULL' })
    const others = Promise.allSettled(calls)
    await session.close()
    expect((await others).every(({ status }) => status === 'rejected')).toBe(true)
  })
})

describe('subscriptions', () => {
  test('of one microtask go out in one Subscribe', async () => {
    const { relay, clock, session } = setUp()
    const ids = ['a', 'b', 'c'].map((name) => relay.createTopic(name))
    await clock.advanceAsync(0)
    for (const id of ids) follow(session, id)
    await clock.advanceAsync(0)
    expect(relay.last.named('Subscribe').length).toBe(1)
    expect(relay.last.named('Subscribe')[0]!.body.partitions.length).toBe(3)
  })

  test('[SES-8] are made again after a reconnect, from the position that was reached', async () => {
    const { relay, clock, session } = setUp()
    const id = relay.createTopic('t')
    relay.append('t', [record('0'), record('1')])
    const { frames, seen } = follow(session, id)
    await clock.advanceAsync(0)
    expect(seen.offset).toBe(2)
    relay.last.closeByRelay(1006)
    relay.append('t', [record('2')])
    await clock.advanceAsync(500)
    expect(relay.last.named('Subscribe')[0]!.body.partitions[0]).toMatchObject({ offset: 2, leaderEpoch: 0 })
    expect(seen.offset).toBe(3)
    expect(frames.filter(({ records }) => records.length > 0).length).toBe(2)
  })

  test('grants of one microtask go out as one Grant, and none while offline', async () => {
    const { relay, clock, session } = setUp()
    const id = relay.createTopic('t')
    const { subscription } = follow(session, id, 100)
    subscription.grant(1)
    await clock.advanceAsync(0)
    subscription.grant(10)
    subscription.grant(20)
    await clock.advanceAsync(0)
    expect(relay.last.named('Grant').map(({ body }) => body.grants[0].bytes)).toEqual([30])
    relay.last.closeByRelay(1006)
    subscription.grant(500)
    await clock.advanceAsync(500)
    expect(relay.last.named('Grant')).toEqual([])
    expect(relay.last.named('Subscribe')[0]!.body.partitions[0].credit).toBe(100)
  })

  test('[SES-6] a Grant never overtakes the Subscribe that it belongs to', async () => {
    const { relay, clock, session } = setUp()
    const id = relay.createTopic('t')
    await clock.advanceAsync(0)
    relay.intercept = (request) => request.name === 'Subscribe'
    const { subscription } = follow(session, id, 100)
    await clock.advanceAsync(0)
    subscription.grant(7)
    await clock.advanceAsync(0)
    expect(relay.last.named('Grant')).toEqual([])
    relay.intercept = () => false
    relay.last.reply(relay.last.named('Subscribe')[0]!)
    await clock.advanceAsync(0)
    expect(relay.last.named('Grant')[0]!.body.grants[0].bytes).toBe(7)
  })

  test('[SES-7] frames of the subscription that is being replaced are dropped', async () => {
    const { relay, clock, session } = setUp()
    const id = relay.createTopic('t')
    relay.append('t', [record('0')])
    const { frames, seen, subscription } = follow(session, id)
    await clock.advanceAsync(0)
    expect(seen.offset).toBe(1)
    relay.intercept = (request) => request.name === 'Subscribe'
    seen.offset = 0
    subscription.restart()
    await clock.advanceAsync(0)
    const before = frames.length
    relay.append('t', [record('1')])
    expect(frames.length).toBe(before)
    relay.intercept = () => false
    relay.last.reply(relay.last.named('Subscribe')[1]!)
    expect(frames.slice(before).map(({ nextOffset }) => nextOffset)).toEqual([1, 2])
  })

  test('after close nothing is delivered and the relay is told', async () => {
    const { relay, clock, session } = setUp()
    const id = relay.createTopic('t')
    const { frames, subscription } = follow(session, id)
    await clock.advanceAsync(0)
    const before = frames.length
    subscription.close()
    subscription.close()
    relay.append('t', [record('0')])
    await clock.advanceAsync(0)
    expect(frames.length).toBe(before)
    expect(relay.last.named('Unsubscribe').length).toBe(1)
    expect(session.isSubscribed(id, 0)).toBe(false)
  })

  test('[SES-5] a second one to the same partition is refused, since it would replace the first', async () => {
    const { relay, session } = setUp()
    const id = relay.createTopic('t')
    follow(session, id)
    expect(() => follow(session, id)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  test('a storage fault is retried by the session, a missing offset is the owner’s', async () => {
    const { relay, clock, session } = setUp()
    const id = relay.createTopic('t')
    const { ends, seen, subscription } = follow(session, id)
    await clock.advanceAsync(0)
    relay.last.endSubscription('t', 56)
    expect(ends[0]).toMatchObject({ errorCode: 56, retryInMs: expect.any(Number) })
    await clock.advanceAsync(500)
    expect(relay.last.named('Subscribe').length).toBe(2)
    relay.append('t', [record('0'), record('1')])
    relay.deleteBefore('t', 2)
    relay.last.endSubscription('t', 1, { logStart: 2 })
    expect(ends[1]).toMatchObject({ errorCode: 1, logStart: 2, retryInMs: null })
    await clock.advanceAsync(20_000)
    expect(relay.last.named('Subscribe').length).toBe(2)
    seen.offset = 2
    subscription.restart()
    await clock.advanceAsync(0)
    expect(relay.last.named('Subscribe').length).toBe(3)
  })

  test('a deleted topic is forgotten by the directory', async () => {
    const { relay, clock, session } = setUp()
    const id = relay.createTopic('t')
    await clock.advanceAsync(0)
    await session.metadata.lookUp('t')
    const { ends } = follow(session, id)
    await clock.advanceAsync(0)
    relay.last.endSubscription('t', 100)
    expect(ends[0]).toMatchObject({ errorCode: 100, retryInMs: null })
    expect(session.metadata.known('t')).toBeUndefined()
  })
})

describe('topic directory', () => {
  test('a topic that is told without partitions is no topic yet, and asked for again', async () => {
    const { relay, clock, session } = setUp()
    relay.createTopic('t', 0)
    await clock.advanceAsync(0)
    await expect(session.metadata.lookUp('t')).rejects.toMatchObject({ retriable: true })
    expect(await session.metadata.refresh(['t'])).toEqual([])
    relay.createTopic('t', 2)
    expect(await session.metadata.lookUp('t')).toMatchObject({ partitionCount: 2 })
  })

  test('look-ups of one turn share a request, answers are kept, an unknown name is UNKNOWN_TOPIC', async () => {
    const { relay, clock, session } = setUp()
    const id = relay.createTopic('a', 3)
    await clock.advanceAsync(0)
    const [a, again, missing] = await Promise.allSettled([
      session.metadata.lookUp('a'),
      session.metadata.lookUp('a'),
      session.metadata.lookUp('nope'),
    ])
    expect(a).toMatchObject({ value: { id, name: 'a', partitionCount: 3 } })
    expect(again).toMatchObject({ value: { id } })
    expect(missing).toMatchObject({ reason: { code: 'UNKNOWN_TOPIC' } })
    expect(relay.last.named('Metadata').length).toBe(1)
    await session.metadata.lookUp('a')
    expect(relay.last.named('Metadata').length).toBe(1)
  })

  test('an id finds its name', async () => {
    const { relay, clock, session } = setUp()
    const id = relay.createTopic('a')
    await clock.advanceAsync(0)
    expect(await session.metadata.lookUpId(id)).toMatchObject({ name: 'a' })
  })
})
