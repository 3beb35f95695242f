/** A relay that is killed: acknowledged commits and the group's generation are there when it is back. */
import { afterEach, expect, test } from 'vitest'
import { offsetCommit, offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { heartbeat } from '../../../protocol/messages/groups.ts'
import { endAll, startRelay, temporaryFolder } from '../../support/ottla-process.ts'
import { RelayClient } from '../../support/relay-client.ts'
import { memberOf } from './group-client.ts'

afterEach(endAll)

test('[GRP-10] SIGKILL in the midst of commits loses none that was acknowledged', async () => {
  const data = temporaryFolder()
  const environment = { OTTLA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0' }
  const relay = await startRelay(['--data', data], { environment })
  const client = await RelayClient.open(relay.url)
  const topicId = await client.createTopic('t')
  const { memberId, generationId } = await memberOf(client, { sessionTimeoutMs: 60_000 })
  const claim = { groupId: 'g', memberId, generationIdOrMemberEpoch: generationId }
  let acked = -1
  const commit = (offset: number) =>
    client
      .call(offsetCommit, {
        ...claim,
        topics: [{ topicId, partitions: [{ partitionIndex: 0, committedOffset: offset }] }],
      })
      .then(({ topics }) => {
        if (topics[0]!.partitions[0]!.errorCode === 0) acked = Math.max(acked, offset)
      })
  for (let offset = 0; offset < 100; offset++) await commit(offset)
  const unanswered = Array.from({ length: 60 }, (_, index) => commit(100 + index))
  await unanswered[10]
  relay.process.kill('SIGKILL')
  await Promise.allSettled(unanswered)
  await relay.exited
  expect(acked).toBeGreaterThanOrEqual(110)

  const again = await startRelay(['--data', data], { environment })
  const back = await RelayClient.open(again.url)
  const { groups } = await back.call(offsetFetch, { groups: [{ groupId: 'g', topics: null }] })
  expect(groups[0]!.topics[0]!.partitions[0]!.committedOffset).toBeGreaterThanOrEqual(acked)
  expect((await back.call(heartbeat, { groupId: 'g', memberId, generationId })).errorCode).toBe(0)
}, 60_000)
