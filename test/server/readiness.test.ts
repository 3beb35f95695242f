/** What the health check says of a relay that serves a part of what it holds. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ErrorCode } from '../../protocol/errors.ts'
import { offsetCommit } from '../../protocol/messages/group-offsets.ts'
import type { Relay } from '../../server/relay.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'

async function readiness(relay: Relay) {
  const response = await globalThis.fetch(`${relay.http.url}/readyz`)
  return { status: response.status, body: (await response.json()) as { status: string; offline: unknown[] } }
}

const commit = async (client: RelayClient) => {
  const partitions = [{ partitionIndex: 0, committedOffset: 0, committedLeaderEpoch: -1, committedMetadata: '' }]
  const topics = [{ name: 't', partitions }]
  const body = { groupId: 'g', generationIdOrMemberEpoch: -1, memberId: '', topics }
  const answer = await client.call(offsetCommit, body, 8)
  return answer.topics[0]!.partitions[0]!.errorCode
}

test('[OPS-12] a coordinator whose log is damaged is told by the health check; topics are served', async () => {
  const relay = await startRelay()
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('t')
  expect(await commit(client)).toBe(ErrorCode.NONE)
  expect(await commit(client)).toBe(ErrorCode.NONE)
  expect(await readiness(relay)).toMatchObject({ status: 200, body: { status: 'ready', offline: [] } })
  await relay.close()
  const path = join(relay.dataDir, 'groups', '00000000000000000000.log')
  const bytes = await readFile(path)
  bytes[70]! ^= 1
  await writeFile(path, bytes)
  const again = await startRelay({ config: { dataDir: relay.dataDir } })
  const { status, body } = await readiness(again)
  expect(status).toBe(503)
  expect(body).toMatchObject({
    status: 'degraded',
    offline: [{ part: 'groups', reason: expect.stringMatching(/damaged batch/) }],
  })
  const other = await RelayClient.open(again.websocket.url)
  expect(await commit(other)).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
  expect(await other.produce(topicId, ['x'])).toMatchObject({ errorCode: ErrorCode.NONE })
})
