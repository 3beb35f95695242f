/** `ottla group …`, `config …`, `cluster`, `producers`, `log-dirs` against a real relay, over WebSocket and over TCP. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseDuration, parseOffsets } from '../../cli/group-reset.ts'
import { parseTopicSelection } from '../../cli/topic-selection.ts'
import { connect, type Ottla } from '../../client/node.ts'
import { configureGroup, ShareMember } from '../server/groups/share/share-member.ts'
import { endAll, type RelayProcess, runOttla, startRelay, temporaryFolder } from '../support/ottla-process.ts'
import { RelayClient } from '../support/relay-client.ts'

let relay: RelayProcess
let ottla: Ottla

const run = (...args: string[]) => runOttla([...args, '--url', relay.url])
const runTcp = (...args: string[]) => runOttla([...args, '--bootstrap-server', relay.ready.kafka!])
const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(...args, '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

beforeAll(async () => {
  relay = await startRelay(['--kafka-port', '0', '--group-initial-rebalance-delay-ms', '0'])
  ottla = await connect(relay.url)
  await ottla.admin.createTopics([{ name: 'orders', partitions: 2 }])
  const orders = ottla.topic('orders')
  const receipts = orders.sendAll(
    Array.from({ length: 10 }, (_, index) => ({ value: Uint8Array.of(index), partition: index % 2 })),
  )
  await Promise.all(receipts.map(({ committed }) => committed))
  await ottla.admin.alterConsumerGroupOffsets('billing', [
    { topic: 'orders', partition: 0, offset: 3 },
    { topic: 'orders', partition: 1, offset: 1 },
  ])
})
afterAll(async () => {
  await ottla?.close()
  await endAll()
})

/** A share group with a member that has worked on two records. */
async function sharers() {
  const client = await RelayClient.open(relay.url)
  await configureGroup(client, 'sharers', { 'share.auto.offset.reset': 'earliest' })
  const member = new ShareMember(client, 'worker', 'sharers')
  await member.join('orders')
  const topicId = await client.topicId('orders')
  await member.accept(topicId, (await member.fetch(topicId)).slice(0, 2))
  await member.closeSession()
  return { client, member }
}

describe('[CLI-12] groups are listed, described, moved and deleted', () => {
  test('list, describe, offsets', async () => {
    expect(await json('group', 'list')).toMatchObject([{ groupId: 'billing', state: 'Empty', type: 'classic' }])
    const { stdout, code } = await runTcp('group', 'describe', 'billing')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Group billing: Empty, classic\n\nNo members\.\n\nTOPIC +PARTITION +COMMITTED +END +LAG/)
    expect(stdout).toMatch(/orders +0 +3 +5 +2 +-\n/)
    expect(await json('group', 'offsets', 'billing')).toMatchObject([
      { partition: 0, committed: 3, end: 5, lag: 2 },
      { partition: 1, committed: 1, end: 5, lag: 4 },
    ])
    const missing = await run('group', 'describe', 'nobody')
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('describing group nobody failed') })
  })

  test('[SHR-16] share groups beside the others', async () => {
    const { client, member } = await sharers()
    expect(await json('group', 'list')).toMatchObject([{ groupId: 'billing' }, { groupId: 'sharers', type: 'share' }])
    const { stdout } = await runTcp('group', 'describe', 'billing', 'sharers')
    expect(stdout).toMatch(/Group billing: Empty[\s\S]*Group sharers: Stable, share, assigned by simple\n\nMEMBER/)
    expect(stdout).toMatch(/worker +- +test +127\.0\.0\.1 +- +orders-0 orders-1\n/)
    expect(await json('group', 'offsets', 'sharers')).toMatchObject([
      { partition: 0, committed: 2, end: 5, lag: 3 },
      { partition: 1, committed: 0, end: 5, lag: 5 },
    ])
    const toEarliest = ['group', 'reset-offsets', 'sharers', '--to-earliest', '--execute']
    expect(await run(...toEarliest)).toMatchObject({ code: 1, stderr: expect.stringContaining('sharers has members') })
    await member.leave()
    expect((await run(...toEarliest)).stdout).toMatch(/orders +0 +2 +0\norders +1 +0 +0\n/)
    const single = await run('group', 'delete-offsets', 'sharers', '--topic', 'orders:0')
    expect(single).toMatchObject({ code: 2, stderr: expect.stringContaining('a share group forgets whole topics') })
    expect((await run('group', 'delete-offsets', 'sharers', '--topic', 'orders')).stdout).toBe('Forgot orders.\n')
    expect((await run('group', 'delete', 'sharers')).stdout).toBe('Deleted sharers.\n')
    client.socket.close()
  })

  test('reset-offsets shows, and does it with --execute; an export is read again', async () => {
    const shown = await run('group', 'reset-offsets', 'billing', '--to-earliest')
    expect(shown).toMatchObject({ code: 0, stderr: 'Nothing was changed; --execute does it.\n' })
    expect(shown.stdout).toMatch(/orders +0 +3 +0\norders +1 +1 +0\n/)
    const exported = await run('group', 'reset-offsets', 'billing', '--to-current', '--export')
    expect(exported.stdout).toBe('orders,0,3\norders,1,1\n')
    const done = await runTcp(
      'group',
      'reset-offsets',
      'billing',
      '--shift-by',
      '-2',
      '--topic',
      'orders:0',
      '--execute',
    )
    expect(done).toMatchObject({ code: 0, stderr: '' })
    const [moved] = await ottla.admin.listConsumerGroupOffsets(['billing'])
    expect(moved!.offsets.map(({ offset }) => offset)).toEqual([1, 1])
    const file = join(temporaryFolder(), 'offsets.csv')
    writeFileSync(file, exported.stdout)
    expect(await json('group', 'reset-offsets', 'billing', '--from-file', file, '--execute')).toEqual({
      group: 'billing',
      executed: true,
      offsets: [
        { topic: 'orders', partition: 0, from: 1, to: 3 },
        { topic: 'orders', partition: 1, from: 1, to: 1 },
      ],
    })
  })

  test('called wrongly: 2, and what is missing', async () => {
    const none = await run('group', 'reset-offsets', 'billing')
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('--to-earliest, --to-latest') })
    const both = await run('group', 'reset-offsets', 'billing', '--to-latest', '--to-offset', '1')
    expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining('one place only') })
    expect(await run('group', 'remove-member', 'billing')).toMatchObject({ code: 2 })
  })

  test('delete-offsets and delete, each entry by itself', async () => {
    await ottla.admin.alterConsumerGroupOffsets('old', [{ topic: 'orders', partition: 0, offset: 1 }])
    expect(await run('group', 'delete-offsets', 'old', '-t', 'orders:0')).toMatchObject({
      code: 0,
      stdout: 'Forgot orders-0.\n',
    })
    await ottla.admin.alterConsumerGroupOffsets('older', [{ topic: 'orders', partition: 0, offset: 1 }])
    const deleted = await run('group', 'delete', 'older', 'nobody')
    expect(deleted).toMatchObject({ code: 1, stdout: 'Deleted older.\n', stderr: expect.stringContaining('nobody') })
  })

  test.each([
    ['P1DT2H30M', 95_400_000],
    ['PT1.5S', 1_500],
    ['15m', 900_000],
    ['7d', 604_800_000],
  ])('a span of %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each(['', 'P', 'PT', '5', '1 day'])('%j is no span', (text) => {
    expect(() => parseDuration(text)).toThrow('--by-duration')
  })

  test('offsets in a file, with quotes or without; a broken line is named', () => {
    expect(parseOffsets('"a","0",5\n\n# note\nb,1,6\r\n')).toEqual([
      { topic: 'a', partition: 0, offset: 5 },
      { topic: 'b', partition: 1, offset: 6 },
    ])
    expect(() => parseOffsets('a,0,1\na,x,1')).toThrow(/line 2: 'a,x,1'/)
  })

  test('a topic with partitions', () => {
    expect(parseTopicSelection('a:0,2')).toEqual({ topic: 'a', partitions: [0, 2] })
    expect(parseTopicSelection('a')).toEqual({ topic: 'a', partitions: undefined })
    for (const text of ['', ':0', 'a:', 'a:x', 'a:0:1']) expect(() => parseTopicSelection(text)).toThrow('--topic')
  })
})

test('[CLI-13] settings are shown and changed, of topics and groups', async () => {
  expect(await run('config', 'alter', 'orders', '--set', 'retention.ms=60000')).toMatchObject({ code: 0, stderr: '' })
  expect(await json('config', 'describe', 'topic:orders')).toEqual([
    { name: 'retention.ms', value: '60000', source: 'topic', isReadOnly: false },
  ])
  const refused = await run('config', 'alter', 'orders', '--set', 'retention.ms=soon')
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('retention.ms') })
  const relayOwn = await json('config', 'describe', 'broker:1')
  expect(relayOwn).toContainEqual(expect.objectContaining({ name: 'kafka-port', value: '0', isReadOnly: true }))
  expect(await run('config', 'describe', 'relay:1')).toMatchObject({ code: 2 })
})

test('[CLI-16] transactions are listed, by state and by a pattern of their ids', async () => {
  await ottla.admin.fenceProducers(['billing-1', 'billing-2', 'shipping-ß'])
  const { code, stdout } = await run('transactions', '--state', 'Empty', '--pattern', '.*ing-[1ß]')
  expect(code).toBe(0)
  expect(stdout).toMatch(/^TRANSACTIONAL ID +STATE +PRODUCER\nbilling-1 +Empty +\d+\nshipping-ß +Empty +\d+\n$/)
  expect(await json('transactions', '--open-for', '1000')).toEqual([])
  const wrong = await run('transactions', '--pattern', '(')
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('INVALID_REGULAR_EXPRESSION') })
})

test('[CLI-14] cluster, producers and log folders are told; records are deleted', async () => {
  const cluster = await json('cluster', 'describe')
  expect(cluster).toMatchObject({ controllerId: 1, brokers: [{ brokerId: 1 }], features: { supported: {} } })
  expect(await json('producers', 'orders')).toHaveLength(2)
  const [broker] = await json('log-dirs', 'orders:1')
  expect(broker.dirs[0].partitions).toMatchObject([{ topic: 'orders', partition: 1 }])
  expect(await runTcp('topic', 'delete-records', 'orders:0', '--before', '2')).toMatchObject({
    code: 0,
    stdout: 'orders-0 begins at 2.\n',
  })
  expect(await run('topic', 'delete-records', 'orders')).toMatchObject({ code: 2 })
})
