/** Who is in a channel and what is said there, over real sockets. */
import { expect, test } from 'vitest'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { ChannelEvent, joinChannel, leaveChannel, publishToChannel } from '../../../protocol/messages/channels.ts'
import { deleteTopics } from '../../../protocol/messages/topics.ts'
import type { Authorizer } from '../../../server/authorizer.ts'
import type { Seat } from '../../../server/channels/channel.ts'
import { Channels, MEMBERS_PER_SEAT_MAX, PAYLOAD_BYTES_MAX } from '../../../server/channels/channels.ts'
import type { News } from '../../../server/channels/news.ts'
import { UNITS_MAX } from '../../../server/channels/publish-rate.ts'
import { eventually } from '../../support/eventually.ts'
import { startRelay } from '../../support/relay.ts'
import { RelayClient } from '../../support/relay-client.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (payload: Uint8Array | null) => payload && new TextDecoder().decode(payload)

async function two(options: { authorizer?: Authorizer } = {}) {
  const relay = await startRelay(options)
  const [ada, bob] = [await RelayClient.open(relay.websocket.url), await RelayClient.open(relay.websocket.url)]
  const topicId = await ada.createTopic('notes')
  return { relay, ada, bob, topicId }
}

const join = (client: RelayClient, topicId: string, state: string | null = null, channel = 'n1') =>
  client.call(joinChannel, { topicId, channel, state: state === null ? null : bytes(state) })

const publish = (client: RelayClient, memberId: string, kind: number, payload: Uint8Array | null) =>
  client.call(publishToChannel, { memberId, kind, payload })

const eventsOf = ({ news }: RelayClient) =>
  news.flatMap(({ events }) => events.map(({ memberId, kind, payload }) => [memberId, kind, text(payload)]))

test('[CHN-1] members see each other come, change, speak and go', async () => {
  const { ada, bob, topicId } = await two()
  const a = await join(ada, topicId, 'Ada')
  expect(a.members.map(({ memberId, state }) => [memberId, text(state)])).toEqual([[a.memberId, 'Ada']])
  const b = await join(bob, topicId)
  expect(b.members.map(({ memberId, state }) => [memberId, text(state)])).toEqual([
    [a.memberId, 'Ada'],
    [b.memberId, null],
  ])
  await publish(bob, b.memberId, ChannelEvent.present, bytes('Bob'))
  await publish(bob, b.memberId, ChannelEvent.message, bytes('hello'))
  await bob.call(leaveChannel, { memberId: b.memberId })
  await eventually(() => eventsOf(ada).length === 4, { what: 'four events' })
  expect(eventsOf(ada)).toEqual([
    [b.memberId, ChannelEvent.present, null],
    [b.memberId, ChannelEvent.present, 'Bob'],
    [b.memberId, ChannelEvent.message, 'hello'],
    [b.memberId, ChannelEvent.gone, null],
  ])
  // Its own words are not told to a connection that is nobody else there.
  expect(bob.news).toEqual([])
  const late = await join(bob, topicId)
  expect(late.members).toHaveLength(2)
})

test('[CHN-2] a member is gone with its connection', async () => {
  const { relay, ada, bob, topicId } = await two()
  await join(ada, topicId)
  const b = await join(bob, topicId)
  bob.socket.terminate()
  await eventually(() => eventsOf(ada).length === 2, { what: 'Bob is gone' })
  expect(eventsOf(ada)[1]).toEqual([b.memberId, ChannelEvent.gone, null])
  const third = await RelayClient.open(relay.websocket.url)
  expect((await join(third, topicId)).members).toHaveLength(2)
})

test('[CHN-3] joining is reading, speaking is writing, and what may not be seen is not there', async () => {
  const denied = new Set<string>()
  const authorizer: Authorizer = { allows: (_, operation) => !denied.has(operation) }
  const { ada, topicId } = await two({ authorizer })
  const { memberId } = await join(ada, topicId)
  denied.add('write')
  expect((await join(ada, topicId, 'state')).errorCode).toBe(29)
  expect((await join(ada, topicId)).errorCode).toBe(0)
  expect((await publish(ada, memberId, 0, bytes('x'))).errorCode).toBe(29)
  denied.add('read')
  expect((await join(ada, topicId)).errorCode).toBe(29)
  denied.add('describe')
  expect((await join(ada, topicId)).errorCode).toBe(100)
})

test('[CHN-4] everything is bounded, and nobody speaks for another connection', async () => {
  const { ada, bob, topicId } = await two()
  const { memberId } = await join(ada, topicId)
  expect((await join(ada, topicId, null, '')).errorCode).toBe(42)
  expect((await join(ada, topicId, null, 'x'.repeat(513))).errorCode).toBe(42)
  expect((await join(ada, topicId, 'x'.repeat(PAYLOAD_BYTES_MAX + 1))).errorCode).toBe(10)
  expect((await publish(ada, memberId, 0, new Uint8Array(PAYLOAD_BYTES_MAX + 1))).errorCode).toBe(10)
  expect((await publish(ada, memberId, 7, null)).errorCode).toBe(42)
  expect((await publish(bob, memberId, 0, null)).errorCode).toBe(25)
  await bob.call(leaveChannel, { memberId })
  expect((await publish(ada, memberId, 0, null)).errorCode).toBe(0)
  const codes: number[] = []
  for (let count = 0; count < MEMBERS_PER_SEAT_MAX; count++)
    codes.push((await join(ada, topicId, null, `c${count}`)).errorCode)
  expect(codes.at(-2)).toBe(0)
  expect(codes.at(-1)).toBe(44)
  const answers = await Promise.all(Array.from({ length: 60 }, () => publish(ada, memberId, 0, new Uint8Array(16_000))))
  const throttled = answers.find(({ errorCode }) => errorCode === 89)
  expect(throttled?.throttleTimeMs).toBeGreaterThan(0)
})

class SeatDouble implements Seat {
  isClosed = false
  unsentBytes = 0
  readonly heard: News['body'][] = []
  hearChannel({ body }: News): void {
    this.heard.push(body)
  }
}

test('[CHN-5] who does not read has no queue, and is told the whole when it does', () => {
  const channels = new Channels(new HandClock(), seededRandom(1))
  const [quick, slow] = [new SeatDouble(), new SeatDouble()]
  const at = { topicId: 't', name: 'c' }
  const speaker = channels.join(quick, at, null)
  const member = channels.join(slow, at, null)
  // Not before its answer is out.
  channels.setState(speaker, bytes('one'))
  expect(slow.heard).toEqual([])
  member.channel.release(slow)
  expect(slow.heard).toMatchObject([{ isWhole: 1, events: [{ payload: bytes('one') }, {}] }])
  slow.unsentBytes = 1e9
  for (let count = 0; count < 100; count++) channels.setState(speaker, bytes(`state ${count}`))
  channels.say(speaker, bytes('lost'))
  expect(slow.heard).toHaveLength(1)
  slow.unsentBytes = 0
  channels.onDrain(slow)
  expect(slow.heard.slice(1)).toMatchObject([{ isWhole: 1, events: [{ payload: bytes('state 99') }, {}] }])
  channels.say(speaker, bytes('heard'))
  expect(slow.heard.at(-1)).toMatchObject({ isWhole: 0, events: [{ kind: 0, payload: bytes('heard') }] })
  channels.onPeerClosed(quick)
  channels.onPeerClosed(slow)
  expect([channels.count, channels.memberCount]).toEqual([0, 0])
})

test('[CHN-4] a connection may say so much at once, and then as time allows', () => {
  const clock = new HandClock()
  const channels = new Channels(clock, seededRandom(1))
  const seat = new SeatDouble()
  channels.join(seat, { topicId: 't', name: 'c' }, null)
  for (let count = 0; count < UNITS_MAX; count++) expect(channels.delayOf(seat, 100)).toBe(0)
  expect(channels.delayOf(seat, 100)).toBe(10)
  clock.advance(10)
  expect(channels.delayOf(seat, 100)).toBe(0)
})

test('[CHN-6] with its topic a channel is gone', async () => {
  const { ada, bob, topicId } = await two()
  const { memberId } = await join(ada, topicId)
  await bob.call(deleteTopics, { topics: [{ name: 'notes', topicId: 'A'.repeat(22) }], timeoutMs: 1000 })
  await eventually(() => ada.news.length === 1, { what: 'the end' })
  expect(ada.news[0]).toMatchObject({ topicId, channel: 'n1', errorCode: 100 })
  expect((await publish(ada, memberId, 0, null)).errorCode).toBe(25)
  expect((await join(ada, topicId)).errorCode).toBe(100)
})
