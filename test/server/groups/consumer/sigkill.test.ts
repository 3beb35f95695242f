/** A relay that is killed: members of the next protocol go on in their epochs, and nothing that was told is taken back. */
import { afterEach, expect, test } from 'vitest'
import { consumerGroupDescribe, consumerGroupHeartbeat } from '../../../../protocol/messages/consumer-groups.ts'
import { offsetCommit, offsetFetch } from '../../../../protocol/messages/group-offsets.ts'
import { endAll, startRelay, temporaryFolder } from '../../../support/ottla-process.ts'
import { RelayClient } from '../../../support/relay-client.ts'

afterEach(endAll)

test('[GRP-39] SIGKILL in the midst of joins and commits', async () => {
  const data = temporaryFolder()
  const relay = await startRelay(['--data', data])
  const client = await RelayClient.open(relay.url)
  const topicId = await client.createTopic('t', { partitions: 4 })
  const joining = { rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['t'], topicPartitions: [] }
  /** The newest epoch that each member was told. */
  const told = new Map<string, number>()
  let acked = -1
  const join = (memberId: string) =>
    client.call(consumerGroupHeartbeat, { groupId: 'g', memberId, memberEpoch: 0, ...joining }).then((reply) => {
      if (reply.errorCode === 0) told.set(memberId, reply.memberEpoch)
    })
  const commit = (offset: number) =>
    client
      .call(offsetCommit, {
        ...{ groupId: 'g', memberId: 'm0', generationIdOrMemberEpoch: told.get('m0')! },
        topics: [{ topicId, partitions: [{ partitionIndex: 0, committedOffset: offset }] }],
      })
      .then(({ topics }) => {
        if (topics[0]!.partitions[0]!.errorCode === 0) acked = offset
      })
  await join('m0')
  await commit(0)
  const unanswered = Array.from({ length: 40 }, (_, index) => [join(`m${index + 1}`), commit(index + 1)]).flat()
  await unanswered[21]
  relay.process.kill('SIGKILL')
  await Promise.allSettled(unanswered)
  await relay.exited
  expect(told.size).toBeGreaterThan(10)

  const again = await startRelay(['--data', data])
  const back = await RelayClient.open(again.url)
  const [described] = (await back.call(consumerGroupDescribe, { groupIds: ['g'] })).groups
  const epochs = new Map(described!.members.map(({ memberId, memberEpoch }) => [memberId, memberEpoch]))
  for (const [memberId, epoch] of told) expect(epochs.get(memberId), memberId).toBeGreaterThanOrEqual(epoch)
  const owned = described!.members.flatMap(({ assignment }) =>
    assignment.topicPartitions.flatMap((at) => at.partitions),
  )
  expect(new Set(owned).size).toBe(owned.length)
  const beaten = await back.call(consumerGroupHeartbeat, { groupId: 'g', memberId: 'm0', memberEpoch: told.get('m0')! })
  expect(beaten.errorCode).toBe(0)
  const { groups } = await back.call(offsetFetch, { groups: [{ groupId: 'g', topics: null }] })
  expect(groups[0]!.topics[0]!.partitions[0]!.committedOffset).toBeGreaterThanOrEqual(acked)
}, 60_000)
