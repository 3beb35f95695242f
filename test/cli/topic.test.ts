/** `ottla topic …` against a real relay. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import {
  endAll,
  type RelayProcess,
  runOttla,
  startOttla,
  startRelay,
  temporaryFolder,
} from '../support/ottla-process.ts'
import { startRelay as startHere } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'

afterEach(endAll)

async function ottla(relay: RelayProcess, ...args: string[]) {
  return runOttla([...args, '--url', relay.url])
}

async function ottlaJson(relay: RelayProcess, ...args: string[]) {
  const { code, stdout, stderr } = await ottla(relay, ...args, '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

describe('[CLI-11] commands work through the Kafka door as well', () => {
  test.each(['--url', '--bootstrap-server'])('%s', async (flag) => {
    const relay = await startRelay(['--kafka-port', '0'])
    const address = flag === '--url' ? `kafka://${relay.ready.kafka}` : relay.ready.kafka!
    const run = (...args: string[]) => runOttla([...args, flag, address], { input: 'one\ntwo\n' })
    expect(await run('topic', 'create', 't', '-p', '2')).toMatchObject({ code: 0, stderr: '' })
    expect(await run('produce', 't')).toMatchObject({ code: 0 })
    const { stdout } = await run('consume', 't')
    expect(stdout.split('\n').filter(Boolean).sort()).toEqual(['one', 'two'])
  })

  test('an address that is none, and two at once', async () => {
    const none = await runOttla(['topic', 'list', '--bootstrap-server', 'a:b'])
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining("--bootstrap-server: 'a:b'") })
    const both = await runOttla(['topic', 'list', '--bootstrap-server', 'a', '--url', 'ws://b'])
    expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining('not both') })
  })
})

describe('[CLI-7] a topic is created, listed, described, altered and deleted', () => {
  test('the whole life, in JSON', async () => {
    const relay = await startRelay()
    expect(await ottlaJson(relay, 'topic', 'list')).toEqual([])

    const created = await ottlaJson(relay, 'topic', 'create', 'flights', '-p', '3', '-c', 'retention.ms=-1')
    expect(created).toEqual({
      topic: 'flights',
      id: expect.stringMatching(/^[\w-]{22}$/),
      partitions: 3,
      created: true,
    })
    expect(await ottlaJson(relay, 'topic', 'list')).toEqual([{ topic: 'flights', id: created.id, partitions: 3 }])

    const described = await ottlaJson(relay, 'topic', 'describe', 'flights')
    expect(described).toMatchObject({
      topic: 'flights',
      id: created.id,
      partitions: [0, 1, 2].map((partition) => ({ partition, start: 0, end: 0 })),
    })
    expect(described.configs).toContainEqual({ name: 'retention.ms', value: '-1', source: 'topic' })
    expect(described.configs).toContainEqual({ name: 'segment.bytes', value: '134217728', source: 'default' })

    await ottlaJson(
      relay,
      ...['topic', 'alter', 'flights', '--partitions', '5'],
      ...['--delete-config', 'retention.ms', '--config', 'retention.bytes=1000000'],
    )
    const altered = await ottlaJson(relay, 'topic', 'describe', 'flights')
    expect(altered.partitions).toHaveLength(5)
    expect(altered.configs).toContainEqual({ name: 'retention.ms', value: '604800000', source: 'default' })
    expect(altered.configs).toContainEqual(expect.objectContaining({ name: 'retention.bytes', value: '1000000' }))

    expect(await ottlaJson(relay, 'topic', 'delete', 'flights')).toEqual([{ topic: 'flights', deleted: true }])
    expect(await ottlaJson(relay, 'topic', 'list')).toEqual([])
  })

  test('one of whose partitions is damaged is described all the same', async () => {
    const config = { dataDir: temporaryFolder() }
    const relay = await startHere({ config })
    const { partitions } = await relay.engine.createTopic({ name: 't', partitionCount: 2, configs: {} })
    const writer = await RelayClient.open(relay.websocket.url)
    const topicId = relay.engine.topicByName('t')!.id
    for (const partition of [0, 1, 1, 1]) await writer.produce(topicId, ['x'], partition)
    await relay.close()
    const { dir } = partitions[1]!
    for (const name of ['manifest', 'clean']) rmSync(join(dir, name))
    const segment = join(dir, `${'0'.repeat(20)}.log`)
    const bytes = readFileSync(segment)
    bytes[80]! ^= 1
    writeFileSync(segment, bytes)
    const damaged = await startHere({ config })
    const described = (...flags: string[]) =>
      runOttla(['topic', 'describe', 't', '--url', damaged.websocket.url, ...flags])
    const { code, stdout } = await described('--json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout).partitions).toEqual([
      { partition: 0, start: 0, end: 1, state: 'online' },
      { partition: 1, start: 0, end: -1, state: 'offline (KAFKA_STORAGE_ERROR)' },
    ])
    expect((await described()).stdout).toMatch(/^ +1 +0 +- +- +offline \(KAFKA_STORAGE_ERROR\)$/m)

    // Who reads it waits for its repair, and knows.
    const reading = startOttla(['consume', 't', '--url', damaged.websocket.url])
    // Of partition 1 the one in front of the damage.
    await eventually(() => reading.stdout() === 'x\nx\n' && reading.stderr() !== '', { withinMs: 20_000 })
    expect(reading.stderr()).toBe(
      'ottla: partition 1 of t is damaged: its records come once it is repaired (ottla verify)\n',
    )
    reading.process.kill('SIGINT')
    await reading.exited
  })

  test('for people: sentences and tables', async () => {
    const relay = await startRelay()
    expect((await ottla(relay, 'topic', 'create', 'a', '--partitions', '2')).stdout).toBe(
      'Created a with 2 partitions.\n',
    )
    expect((await ottla(relay, 'topic', 'list')).stdout).toMatch(/^TOPIC\s+PARTITIONS\s+ID\na\s+2\s+[\w-]{22}\n$/)
    const { stdout } = await ottla(relay, 'topic', 'describe', 'a')
    expect(stdout).toMatch(/PARTITION\s+START\s+END\s+OFFSETS\s+STATE/)
    expect(stdout).toContain('retention.ms')
    expect((await ottla(relay, 'topic', 'delete', 'a')).stdout).toBe('Deleted a.\n')
  })

  test('a topic that was deleted and made again has another id', async () => {
    const relay = await startRelay()
    const first = await ottlaJson(relay, 'topic', 'create', 'a')
    await ottlaJson(relay, 'topic', 'delete', 'a')
    const second = await ottlaJson(relay, 'topic', 'create', 'a')
    expect(second.id).not.toBe(first.id)
  })
})

describe('[CLI-8] what the relay refuses is one line and code 1', () => {
  test('topics that exist, that do not, configurations that cannot be', async () => {
    const relay = await startRelay()
    await ottla(relay, 'topic', 'create', 'a')
    for (const [args, message] of [
      [['create', 'a'], /^ottla: .*there is a topic a already/],
      [['create', 'b', '-c', 'cleanup.policy=squash'], /cleanup\.policy: 'squash'/],
      [['create', 'no/slash'], /^ottla: .*no\/slash/],
      [['describe', 'none'], /^ottla: .*none/],
      [['delete', 'none'], /^ottla: .*none/],
      [['alter', 'a', '-p', '1', '-c', 'retention.mss=1'], /retention\.mss/],
    ] as const) {
      const { code, stdout, stderr } = await ottla(relay, 'topic', ...args)
      expect({ args, code, stdout }).toEqual({ args, code: 1, stdout: '' })
      expect(stderr).toMatch(message)
      expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    }
  })

  test('unless that is fine', async () => {
    const relay = await startRelay()
    await ottla(relay, 'topic', 'create', 'a')
    expect(await ottla(relay, 'topic', 'create', 'a', '--if-not-exists')).toMatchObject({ code: 0 })
    expect(await ottla(relay, 'topic', 'delete', 'b', '--if-exists')).toMatchObject({ code: 0 })
  })
})
