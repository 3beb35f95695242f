/** Settings of single groups: DescribeConfigs and its like with resources of type GROUP. */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../../protocol/errors.ts'
import { alterConfigs, listConfigResources } from '../../../../protocol/messages/config-resources.ts'
import { describeConfigs, incrementalAlterConfigs } from '../../../../protocol/messages/configs.ts'
import { consumerGroupHeartbeat } from '../../../../protocol/messages/consumer-groups.ts'
import type { Authorizer } from '../../../../server/authorizer.ts'
import { resolveRelayConfig } from '../../../../server/config.ts'
import { startRelay } from '../../../support/relay.ts'
import { RelayClient } from '../../../support/relay-client.ts'

const GROUP = 32
const SESSION = 'consumer.session.timeout.ms'
const INTERVAL = 'consumer.heartbeat.interval.ms'

async function open(options: Parameters<typeof startRelay>[0] = {}) {
  const relay = await startRelay(options)
  return { relay, client: await RelayClient.open(relay.websocket.url) }
}

/** Those of consumer groups, or of share groups. */
async function settings(client: RelayClient, groupId = 'g', kind = 'consumer.') {
  const resources = [{ resourceType: GROUP, resourceName: groupId, configurationKeys: null }]
  const [result] = (await client.call(describeConfigs, { resources, includeSynonyms: false })).results
  if (result!.errorCode !== 0) return result!.errorCode
  const configs = result!.configs.filter(({ name }) => name.startsWith(kind))
  return Object.fromEntries(configs.map(({ name, value, configSource }) => [name, [value, configSource]]))
}

async function set(
  client: RelayClient,
  values: Readonly<Record<string, string | null>>,
  { groupId = 'g', validateOnly = false } = {},
) {
  const configs = Object.entries(values).map(([name, value]) => ({
    ...{ name, value, configOperation: value === null ? 1 : 0 },
  }))
  const resources = [{ resourceType: GROUP, resourceName: groupId, configs }]
  const { responses } = await client.call(incrementalAlterConfigs, { resources, validateOnly })
  return responses[0]!
}

const join = (client: RelayClient, memberId: string) =>
  client.call(consumerGroupHeartbeat, {
    ...{ groupId: 'g', memberId, memberEpoch: 0, rebalanceTimeoutMs: 5000 },
    ...{ subscribedTopicNames: ['t'], topicPartitions: [] },
  })

describe('[GRP-44] a group may have settings of its own, whether it exists or not', () => {
  test('they are told with their source, count from the next heartbeat on, and are kept', async () => {
    const { relay, client } = await open({ config: { groupConsumerHeartbeatIntervalMs: 7000 } })
    expect(await settings(client)).toEqual({ [SESSION]: ['45000', 5], [INTERVAL]: ['7000', 4] })
    expect((await join(client, 'm')).heartbeatIntervalMs).toBe(7000)
    expect((await set(client, { [INTERVAL]: '200', [SESSION]: '900' })).errorCode).toBe(0)
    expect(await settings(client)).toEqual({ [SESSION]: ['900', 8], [INTERVAL]: ['200', 8] })
    expect(await settings(client, 'other')).toEqual({ [SESSION]: ['45000', 5], [INTERVAL]: ['7000', 4] })
    const beaten = await client.call(consumerGroupHeartbeat, { groupId: 'g', memberId: 'm', memberEpoch: 1 })
    expect(beaten.heartbeatIntervalMs).toBe(200)
    await set(client, { [SESSION]: null })
    expect(await settings(client)).toEqual({ [SESSION]: ['45000', 5], [INTERVAL]: ['200', 8] })
    await relay.close()
    const again = await open({ config: { dataDir: relay.dataDir } })
    expect(await settings(again.client)).toEqual({ [SESSION]: ['45000', 5], [INTERVAL]: ['200', 8] })
  })

  test('share groups have their own, some of which the relay has for all of them', async () => {
    const { client } = await open({ config: { groupShareDeliveryCountLimit: 7 } })
    await set(client, { 'share.auto.offset.reset': 'by_duration:PT1H30M', 'share.isolation.level': 'read_committed' })
    expect(await settings(client, 'g', 'share.')).toEqual({
      'share.session.timeout.ms': ['45000', 5],
      'share.heartbeat.interval.ms': ['5000', 5],
      'share.record.lock.duration.ms': ['30000', 5],
      'share.delivery.count.limit': ['7', 4],
      'share.partition.max.record.locks': ['2000', 5],
      'share.auto.offset.reset': ['by_duration:PT1H30M', 8],
      'share.isolation.level': ['read_committed', 8],
      'share.renew.acknowledge.enable': ['true', 5],
    })
    const refused = async (name: string, value: string) => (await set(client, { [name]: value })).errorCode
    for (const value of ['sometimes', 'by_duration:', 'by_duration:P', 'by_duration:P1M', 'by_duration:-PT1S'])
      expect(await refused('share.auto.offset.reset', value), value).toBe(ErrorCode.INVALID_CONFIG)
    expect(await refused('share.heartbeat.interval.ms', '45000')).toBe(ErrorCode.INVALID_CONFIG)
    expect(await refused('share.partition.max.record.locks', '99')).toBe(ErrorCode.INVALID_CONFIG)
  })

  test('AlterConfigs sets all of them; groups with settings are listed', async () => {
    const { client } = await open()
    await set(client, { [SESSION]: '10000' }, { groupId: 'other' })
    await set(client, { [SESSION]: '10000', [INTERVAL]: '100' })
    const configs = [{ name: INTERVAL, value: '300' }]
    const body = { resources: [{ resourceType: GROUP, resourceName: 'g', configs }], validateOnly: false }
    expect((await client.call(alterConfigs, body)).responses[0]!.errorCode).toBe(0)
    expect(await settings(client)).toEqual({ [SESSION]: ['45000', 5], [INTERVAL]: ['300', 8] })
    const listed = async () => {
      const { configResources } = await client.call(listConfigResources, { resourceTypes: [GROUP] })
      return configResources.map(({ resourceName }) => resourceName).sort()
    }
    expect(await listed()).toEqual(['g', 'other'])
    await set(client, { [SESSION]: null }, { groupId: 'other' })
    expect(await listed()).toEqual(['g'])
  })

  test('what makes no sense is refused and changes nothing', async () => {
    const { client } = await open()
    const bad: Array<Readonly<Record<string, string>>> = [
      { [SESSION]: '0' },
      { [SESSION]: 'long' },
      { [SESSION]: '5000' },
      { [INTERVAL]: '45000' },
      { 'consumer.session.timeout': '9000' },
      { [INTERVAL]: '100', 'retention.ms': '1' },
    ]
    for (const values of bad) {
      const { errorCode, errorMessage } = await set(client, values)
      expect(errorCode, JSON.stringify(values)).toBe(ErrorCode.INVALID_CONFIG)
      expect(errorMessage).toMatch(/is not allowed; use/)
    }
    expect((await set(client, { [INTERVAL]: '100' }, { validateOnly: true })).errorCode).toBe(0)
    expect((await set(client, { [INTERVAL]: '100' }, { groupId: '' })).errorCode).toBe(ErrorCode.INVALID_GROUP_ID)
    expect(await settings(client)).toEqual({ [SESSION]: ['45000', 5], [INTERVAL]: ['5000', 5] })
    expect(await settings(client, '')).toBe(ErrorCode.INVALID_GROUP_ID)
  })

  test('the relay itself does not start with an interval that outlasts the session', () => {
    const flags = { 'group-consumer-heartbeat-interval-ms': '45000' }
    expect(() => resolveRelayConfig({ flags })).toThrow(/less than the session timeout, which is 45000/)
    const file = { path: 'server.properties', content: 'group.consumer.session.timeout.ms=60000\n' }
    expect(resolveRelayConfig({ flags, file }).config.groupConsumerSessionTimeoutMs).toBe(60_000)
  })

  test('nor with an assignor that it does not have; by the names of Kafka it has two', () => {
    const flags = { 'group-consumer-assignors': 'uniform,sticky' }
    expect(() => resolveRelayConfig({ flags })).toThrow(/one or more of uniform, range/)
    expect(() => resolveRelayConfig({ flags: { 'group-consumer-assignors': '' } })).toThrow(/one or more of/)
    const kafka = 'org.apache.kafka.coordinator.group.assignor'
    const content = `group.consumer.assignors=${kafka}.RangeAssignor,${kafka}.UniformAssignor\n`
    const { config } = resolveRelayConfig({ file: { path: 'server.properties', content } })
    expect(config.groupConsumerAssignors).toEqual(['range', 'uniform'])
  })

  test('who may not use the group neither sees nor changes them', async () => {
    const authorizer: Authorizer = { allows: (_principal, _operation, { type }) => type !== 'group' }
    const { client } = await open({ authorizer })
    expect(await settings(client)).toBe(ErrorCode.GROUP_AUTHORIZATION_FAILED)
    expect((await set(client, { [INTERVAL]: '100' })).errorCode).toBe(ErrorCode.GROUP_AUTHORIZATION_FAILED)
  })
})
