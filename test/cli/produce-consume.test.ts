/** `ottla produce` and `ottla consume` against a real relay: what goes in comes out. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { consume } from '../../cli/consume.ts'
import type { Output } from '../../cli/output.ts'
import { batchOf } from '../support/batches.ts'
import { eventually } from '../support/eventually.ts'
import { endAll, PROGRAM, runOttla, startOttla, temporaryFolder } from '../support/ottla-process.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'

afterEach(endAll)

/** In this process, so that a test starts no more programs than it looks at. */
async function relayWith(...topics: Array<{ name: string; partitions?: number; configs?: Record<string, string> }>) {
  const relay = await startRelay()
  const { url } = relay.websocket
  for (const { name, partitions = 1, configs = {} } of topics) {
    await relay.engine.createTopic({ name, partitionCount: partitions, configs })
  }
  const produce = (args: string[], input = '') => runOttla(['produce', ...args, '--url', url], { input })
  const consume = (...args: string[]) => runOttla(['consume', ...args, '--url', url])
  return { relay, url, produce, consume }
}

const rowsOf = (stdout: string) =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

test('[TXN-55] consume prints committed records, and with --isolation uncommitted all of them', async () => {
  const { relay, consume } = await relayWith({ name: 't' })
  const log = relay.engine.topicByName('t')!.partitions[0]!
  const inTransaction = (value: string, sequence: number) =>
    batchOf([value], { producer: { id: 7, sequence, isTransactional: true } })
  const end = (outcome: 'commit' | 'abort') =>
    log.appendMarker({ producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, outcome }).durable
  log.append(inTransaction('aborted', 0))
  await end('abort')
  log.append(inTransaction('committed', 1))
  await end('commit')
  await log.append(inTransaction('open', 2)).durable
  expect(await consume('t')).toMatchObject({ code: 0, stdout: 'committed\n' })
  const all = await consume('t', '--isolation', 'uncommitted')
  expect(all).toMatchObject({ code: 0, stdout: 'aborted\ncommitted\nopen\n' })
})

describe('[CLI-9] produce commits what it reads, consume prints it', () => {
  test('plain lines, in order', async () => {
    const { produce, consume } = await relayWith({ name: 't' })
    const produced = await produce(['t'], 'one\r\ntwo\n\nfour')
    expect(produced).toMatchObject({ code: 0, stdout: '' })
    expect(produced.stderr).toMatch(/^4 records committed to t in /)
    expect(await consume('t')).toEqual({ code: 0, stdout: 'one\ntwo\n\nfour\n', stderr: '' })
  })

  test('keys by separator, headers, a partition', async () => {
    const { produce, consume } = await relayWith({ name: 't', partitions: 3 })
    await produce(['t', '-K', ':', '-H', 'source=shell', '-H', 'n=1', '-p', '2'], 'a:1\nb:2:3\n')
    const { stdout } = await consume('t', '--format', '%p/%o %k=%v [%h]')
    expect(stdout).toBe('2/0 a=1 [source=shell,n=1]\n2/1 b=2:3 [source=shell,n=1]\n')
  })

  test('NDJSON carries everything, and what consume prints can be written back', async () => {
    const { produce, consume } = await relayWith({ name: 't', partitions: 2 }, { name: 'copy', partitions: 2 })
    const rows = [
      { key: 'k', value: 'v', headers: { h: 'x' }, partition: 1, timestamp: 1_700_000_000_000 },
      { key: null, value: { base64: '/wD/' }, headers: {}, partition: 1, timestamp: 1_700_000_000_001 },
      { key: 'gone', value: null, headers: {}, partition: 1, timestamp: 1_700_000_000_002 },
    ]
    const produced = await produce(['t', '-f', 'ndjson', '--json'], rows.map((row) => JSON.stringify(row)).join('\n'))
    expect(JSON.parse(produced.stdout)).toMatchObject({ topic: 't', sent: 3, committed: 3 })
    const { stdout } = await consume('t', '--json')
    expect(rowsOf(stdout)).toEqual(rows.map((row, offset) => ({ topic: 't', offset, ...row })))

    await produce(['copy', '-f', 'ndjson'], stdout)
    expect(rowsOf((await consume('copy', '--json')).stdout)).toEqual(
      rows.map((row, offset) => ({ topic: 'copy', offset, ...row })),
    )
  })

  test('a file, and many records: none lost, order kept within a partition', async () => {
    const { produce, consume } = await relayWith({ name: 't', partitions: 3 })
    const path = join(temporaryFolder(), 'input.txt')
    const count = 20_000
    writeFileSync(path, Array.from({ length: count }, (_, n) => `k${n % 17}:${n}\n`).join(''))
    const produced = await produce(['t', path, '-K', ':', '--json'])
    expect(JSON.parse(produced.stdout)).toMatchObject({ sent: count, committed: count })

    const last = new Map<string, number>()
    let seen = 0
    for (const line of (await consume('t', '--format', '%k %v')).stdout.trimEnd().split('\n')) {
      const [key = '', value] = line.split(' ')
      expect(Number(value)).toBeGreaterThan(last.get(key) ?? -1)
      last.set(key, Number(value))
      seen++
    }
    expect(seen).toBe(count)
  })

  test('a bad line stops with its number; what came before is committed', async () => {
    const { produce, consume } = await relayWith({ name: 't' })
    const { code, stderr } = await produce(['t', '-f', 'ndjson'], '{"value":"a"}\n{"value":\n')
    expect(code).toBe(1)
    expect(stderr).toMatch(/^ottla: input line 2: not JSON/m)
    expect((await consume('t')).stdout).toBe('a\n')
  })

  test('[CLI-18] an input file that is not there is one line', async () => {
    const { produce } = await relayWith({ name: 't' })
    const { code, stderr } = await produce(['t', '/nowhere'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^ottla: \/nowhere: no such file or folder$/m)
    expect(stderr).not.toContain('    at ')
  })

  test('a topic that does not exist is said before anything is typed', async () => {
    const { url } = await relayWith()
    const typing = startOttla(['produce', 'none', '--url', url])
    expect(await typing.exited).toBe(1)
    expect(typing.stderr()).toMatch(/^ottla: looking up topic none failed: .*UNKNOWN_TOPIC_OR_PARTITION/m)
  })

  test('a topic that does not exist, a partition that does not exist, a record that is too large', async () => {
    const { produce, consume } = await relayWith({ name: 'small', configs: { 'max.message.bytes': '1000' } })
    const results = await Promise.all([
      consume('none'),
      produce(['none'], 'x\n'),
      produce(['small', '-p', '7'], 'x\n'),
      produce(['small'], `${'x'.repeat(5000)}\n`),
    ])
    expect(results[0].stdout).toBe('')
    for (const { code, stderr } of results) {
      expect(code).toBe(1)
      expect(stderr).toMatch(/^ottla: /m)
    }
  })
})

describe('[CLI-10] consume begins and ends where it is told', () => {
  test('--from and --count', async () => {
    const { produce, consume } = await relayWith({ name: 't' })
    const rows = Array.from({ length: 10 }, (_, n) =>
      JSON.stringify({ value: `v${n}`, timestamp: 1_700_000_000_000 + n }),
    )
    await produce(['t', '-f', 'ndjson'], rows.join('\n'))
    const printed = async (...args: string[]) => (await consume('t', ...args)).stdout.trimEnd().split('\n').join(' ')
    expect(
      await Promise.all([
        printed('--from', 'last:2'),
        printed('--from', 'offset:7'),
        printed('--from', 'time:1700000000008'),
        printed('--from', 'beginning', '--count', '3'),
        printed('--from', 'end'),
        printed('--count', '0'),
      ]),
    ).toEqual(['v8 v9', 'v7 v8 v9', 'v8 v9', 'v0 v1 v2', '', ''])
  })

  test('--follow prints records as they come; Ctrl-C ends it with code 0', async () => {
    const { url, produce } = await relayWith({ name: 't' })
    await produce(['t'], 'before\n')
    const follower = startOttla(['consume', 't', '--follow', '--from', 'beginning', '--url', url])
    await eventually(() => follower.stdout() === 'before\n', { withinMs: 10_000 })
    await produce(['t'], 'after\n')
    await eventually(() => follower.stdout() === 'before\nafter\n', { withinMs: 10_000 })
    follower.process.kill('SIGINT')
    expect(await follower.exited).toBe(0)
    expect(follower.stderr()).toBe('')
  })

  test('[CLI-19] a follower whose reader is slow takes no more than that reads', async () => {
    const { relay, url } = await relayWith({ name: 't' })
    const sender = await RelayClient.open(url)
    const topicId = relay.engine.topicByName('t')!.id
    const written: string[] = []
    let readerIsBack = () => {}
    const read = new Promise<void>((resolve) => {
      readerIsBack = resolve
    })
    const write = (chunk: string | Uint8Array) => {
      written.push(Buffer.from(chunk).toString())
      return read
    }
    const stopping = new AbortController()
    const consuming = consume({
      ...{ positionals: ['t'], flags: { url, follow: true, from: 'beginning' }, environment: {}, json: false },
      ...{ output: { write } as unknown as Output, signal: stopping.signal },
    })
    const values = Array.from({ length: 40 }, (_, index) => `${index}`.padEnd(10_000, '.'))
    for (const value of values) {
      await sender.produce(topicId, [value])
      await eventually(() => written.length > 0)
      // Enough for it to be read, where nothing holds that up.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(written).toHaveLength(1)
    readerIsBack()
    await eventually(() => written.join('').length === 40 * 10_001)
    expect(written.join('')).toBe(values.map((value) => `${value}\n`).join(''))
    stopping.abort()
    expect(await consuming).toBe(0)
  })

  test('[CLI-18] results that cannot be written are one line and code 1', async () => {
    const { url, produce } = await relayWith({ name: 't' })
    await produce(['t'], 'x\n')
    const run = promisify(execFile)
    const line = '"$0" "$@" > /dev/full'
    const failing = run('sh', ['-c', line, process.execPath, PROGRAM, 'consume', 't', '--url', url], {
      timeout: 20_000,
    })
    await expect(failing).rejects.toMatchObject({ code: 1, stderr: 'ottla: the disk: no space left\n' })
  })

  test('a reader that goes away (head) ends it quietly', async () => {
    const { url, produce } = await relayWith({ name: 't' })
    // More than pipes and streams take in.
    await produce(['t'], `${'x'.repeat(100)}\n`.repeat(10_000))
    const consumer = startOttla(['consume', 't', '--url', url])
    consumer.process.stdout.once('data', () => consumer.process.stdout.destroy())
    expect(await consumer.exited).toBe(0)
    expect(consumer.stderr()).toBe('')
  })
})
