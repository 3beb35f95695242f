/** The level of a topic, in each acknowledgement that the client shows. */
import { expect, test } from 'vitest'
import { connect, string } from '../../client/index.ts'
import { incrementalAlterConfigs } from '../../protocol/messages/configs.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { startRelay } from '../support/relay.ts'
import { batchOf, RelayClient } from '../support/relay-client.ts'

test('[DUR-9] a receipt says whether the record is on disk, and follows the configuration of its topic at once', async () => {
  const relay = await startRelay()
  const admin = await RelayClient.open(relay.websocket.url)
  await admin.createTopic('strict')
  await admin.createTopic('loose', { configs: { 'ottla.durability': 'relaxed', 'flush.ms': '50' } })
  const ottla = await connect(relay.websocket.url)
  const send = (topic: string) => ottla.topic(topic, { value: string }).send({ value: 'x' }).committed
  expect(await send('strict')).toEqual({ partition: 0, offset: 0, durability: 'fsync' })
  expect(await send('loose')).toEqual({ partition: 0, offset: 0, durability: 'relaxed' })
  const configs = [{ name: 'ottla.durability', configOperation: 0, value: 'fsync' }]
  const resources = [{ resourceType: 2, resourceName: 'loose', configs }]
  const { responses } = await admin.call(incrementalAlterConfigs, { resources, validateOnly: false })
  expect(responses[0]).toMatchObject({ errorCode: 0 })
  expect(await send('loose')).toEqual({ partition: 0, offset: 1, durability: 'fsync' })
  await ottla.close()
})

test('[DUR-10] only clients of Ottla itself are told in the answer to Produce', async () => {
  const relay = await startRelay()
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('t', { configs: { 'ottla.durability': 'relaxed' } })
  const send = async () => {
    const topicData = [{ topicId, partitionData: [{ index: 0, records: batchOf('x') }] }]
    return (await client.call(produce, { acks: -1, timeoutMs: 1000, topicData })).responses[0]!.partitionResponses[0]!
  }
  expect((await send()).durability).toBe(0)
  await client.sayHello()
  expect((await send()).durability).toBe(1)
})
