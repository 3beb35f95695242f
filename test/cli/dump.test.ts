/** `ottla dump`: what is in segment files, for a person and for a program, damage included. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { encodeBatch } from '../../protocol/records.ts'
import { dump } from '../../server/log/dump.ts'
import { MemoryFiles } from '../../server/storage/memory-files.ts'
import { compact, openCompacted, roll, write } from '../server/log/compaction-fixture.ts'
import { DIR } from '../server/log/log-fixture.ts'
import { endAll, runOttla, startRelay, temporaryFolder } from '../support/ottla-process.ts'

afterEach(endAll)

let made: string
beforeAll(async () => {
  made = mkdtempSync(join(tmpdir(), 'ottla-test-'))
  const relay = await startRelay(['--data', made])
  await runOttla(['topic', 'create', 't', '--url', relay.url])
  for (const input of ['k1:one\nk2:two\n', 'k3:three\n', 'k4:four\n'])
    await runOttla(['produce', 't', '--key-separator', ':', '--url', relay.url], { input })
  relay.process.kill('SIGTERM')
  await relay.exited
})
afterAll(() => rmSync(made, { recursive: true }))

/** What a relay has left that was given four records in three batches, each time another copy. */
function folderWithRecords(): string {
  const data = temporaryFolder()
  cpSync(made, data, { recursive: true })
  return data
}

const jsonLines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

describe('[OPS-7] dump shows every batch and its records, and goes on behind damage', () => {
  test('beside a running relay, for a person', async () => {
    const data = folderWithRecords()
    await startRelay(['--data', data])
    const { code, stdout } = await runOttla(['dump', data, '--topic', 't', '--records'])
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /0{20}\.log:\n {2}offsets 0\.\.1, 2 records, \d+ bytes at 0, none, .*producer \d+ epoch 0 sequence 0/,
    )
    expect(stdout).toMatch(/\n {4}1 {2}\S+ {2}key "k2" {2}value "two"\n {2}offsets 2\.\.2, 1 records/)
  })

  test('a partition without records, as it was made and as it was restored', async () => {
    const data = temporaryFolder()
    const relay = await startRelay(['--data', data])
    await runOttla(['topic', 'create', 't', '--partitions', '2', '--url', relay.url])
    await runOttla(['produce', 't', '--partition', '1', '--url', relay.url], { input: 'one\n' })
    const [copied, restored] = [join(temporaryFolder(), 'copy'), join(temporaryFolder(), 'again')]
    await runOttla(['backup', copied, '--url', relay.url])
    await runOttla(['restore', copied, restored])
    for (const folder of [data, restored]) {
      const { code, stdout, stderr } = await runOttla(['dump', folder, '--topic', 't'])
      expect({ code, stdout, stderr }).toMatchObject({ code: 0, stdout: '' })
      expect(stderr).toMatch(/^No batches in .*\/0\.$/m)
      const other = await runOttla(['dump', folder, '--topic', 't', '--partition', '1', '--json'])
      expect(jsonLines(other.stdout)).toMatchObject([{ kind: 'batch', baseOffset: 0 }])
    }
    const { code, stderr } = await runOttla(['dump', temporaryFolder()])
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('no segments in this folder') })
  })

  test('a range of offsets, for a program', async () => {
    const data = folderWithRecords()
    const { stdout } = await runOttla(['dump', data, '-t', 't', '--from', '1', '--to', '2', '-r', '--json'])
    expect(jsonLines(stdout)).toMatchObject([
      { kind: 'batch', baseOffset: 0, lastOffset: 1, records: [{ key: 'k1' }, { key: 'k2', value: 'two' }] },
      { kind: 'batch', baseOffset: 2, lastOffset: 2, records: [{ offset: 2, key: 'k3', value: 'three' }] },
    ])
    expect(jsonLines((await runOttla(['dump', data, '-t', 't', '--limit', '1', '--json'])).stdout)).toHaveLength(1)
  })

  test("the relay's own logs", async () => {
    const data = folderWithRecords()
    const { stdout } = await runOttla(['dump', `${data}/metadata`, '--records'])
    expect(stdout).toMatch(/key "topic\/.*value "\{\\"name\\":\\"t\\"/)
  })

  test('a flipped bit: the batch is named, those behind it are shown, code 1', async () => {
    const data = folderWithRecords()
    const [topic = ''] = readdirSync(join(data, 'topics'))
    const path = join(data, 'topics', topic, '0', `${'0'.repeat(20)}.log`)
    const bytes = readFileSync(path)
    const [, second] = jsonLines((await runOttla(['dump', path, '--json'])).stdout)
    bytes[second.position + 65]! ^= 1
    writeFileSync(path, bytes)
    const { code, stdout } = await runOttla(['dump', path, '--json'])
    expect(code).toBe(1)
    expect(jsonLines(stdout)).toMatchObject([
      { kind: 'batch', baseOffset: 0 },
      { kind: 'damage', position: second.position, sizeBytes: second.sizeBytes, reason: 'crc' },
      { kind: 'batch', baseOffset: 3 },
    ])
  })

  test('what is no log is refused in one line', async () => {
    const folder = temporaryFolder()
    expect(await runOttla(['dump', folder])).toMatchObject({ code: 1, stderr: expect.stringMatching(/no segments/) })
    expect(await runOttla(['dump', `${folder}/none`])).toMatchObject({ code: 1 })
    expect(await runOttla(['dump', folder, '--topic', 't'])).toMatchObject({ code: 1 })
  })

  test('times that no calendar knows, as nanoseconds of a producer are', async () => {
    const file = join(temporaryFolder(), `${'0'.repeat(20)}.log`)
    const batch = encodeBatch([{ key: null, value: Buffer.from('v'), timestamp: 1.7e18 }])
    writeFileSync(file, batch)
    const { code, stdout } = await runOttla(['dump', file, '--records'])
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/, 1700000000000000000 ms, .*\n {4}0 {2}1700000000000000000 ms/s),
    ])
  })

  test('a segment that the relay compacts or drops meanwhile: on where it was', async () => {
    const files = new MemoryFiles()
    const log = await openCompacted({ files })
    await write(log, [
      ['a', '1'],
      ['b', '1'],
    ])
    await roll(log)
    await write(log, [['c', '1']])
    await roll(log)
    const offsets: number[] = []
    for await (const found of dump(files, DIR)) {
      if (found.kind !== 'batch') continue
      offsets.push(found.header.baseOffset)
      if (offsets.length !== 1) continue
      await write(log, [['c', '2']])
      await roll(log)
      await compact(log)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(offsets.slice(0, 4)).toEqual([0, 1, 2, 3])
    expect(offsets.at(-1)).toBe(log.endOffset - 1)
    await log.close()
  })
})
