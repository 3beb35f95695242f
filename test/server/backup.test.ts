/** Backup points of a running relay: one instant of everything, whatever happens to the log meanwhile. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../protocol/errors.ts'
import { HandClock } from '../../protocol/lib/clock.ts'
import { seededRandom } from '../../protocol/lib/random.ts'
import { closeBackup, openBackup, readBackup } from '../../protocol/messages/backup.ts'
import { offsetCommit, offsetFetch } from '../../protocol/messages/group-offsets.ts'
import { deleteRecords } from '../../protocol/messages/offsets.ts'
import { deleteTopics } from '../../protocol/messages/topics.ts'
import { BackupPoints } from '../../server/backup/backup-points.ts'
import { claimFormat } from '../../server/engine/data-format.ts'
import { verifyDataDir } from '../../server/engine/verify.ts'
import { silentLogger } from '../../server/logger.ts'
import { MemoryFiles } from '../../server/storage/memory-files.ts'
import { nodeFiles } from '../../server/storage/node-files.ts'
import { eventually } from '../support/eventually.ts'
import { FaultyFiles } from '../support/faulty-files.ts'
import { startRelay, temporaryFolder } from '../support/relay.ts'
import { batchOf, RelayClient } from '../support/relay-client.ts'

async function copyOut(client: RelayClient, backupId: string): Promise<string> {
  const folder = await temporaryFolder()
  const { files, fileCount } = await client.call(openBackup, { backupId, fromFile: 0 })
  expect(files).toHaveLength(fileCount)
  for (const [file, { path, sizeBytes }] of files.entries()) {
    const pieces: Uint8Array[] = []
    for (let position = 0; position < sizeBytes; ) {
      const { content, errorCode } = await client.call(readBackup, { backupId, file, position, bytesMax: 700 })
      expect(errorCode).toBe(0)
      pieces.push(content)
      position += content.length
    }
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), Buffer.concat(pieces))
  }
  return folder
}

async function commit(client: RelayClient, topicId: string, committedOffset: number): Promise<void> {
  const partitions = [{ partitionIndex: 0, committedOffset, committedMetadata: null }]
  await client.call(offsetCommit, { groupId: 'g', memberId: '', topics: [{ topicId, partitions }] })
}

async function findingsIn(folder: string) {
  const checking = verifyDataDir(nodeFiles, folder)
  const findings: unknown[] = []
  for await (const finding of checking) findings.push(finding)
  return findings
}

describe('[OPS-10] a backup point is one instant of everything', () => {
  test('what is written, deleted and committed afterwards is not in it, and the copy is sound', async () => {
    const relay = await startRelay()
    const client = await RelayClient.open(relay.websocket.url)
    await client.sayHello()
    const topicId = await client.createTopic('t')
    const goneId = await client.createTopic('gone')
    for (let index = 0; index < 20; index++) await client.produce(topicId, batchOf(`before ${index}`))
    await client.produce(goneId, ['x'])
    await commit(client, topicId, 12)

    const { backupId, errorCode } = await client.call(openBackup, { backupId: null, fromFile: 0 })
    expect(errorCode).toBe(0)
    for (let index = 0; index < 20; index++) await client.produce(topicId, batchOf(`after ${index}`))
    await commit(client, topicId, 33)
    await client.call(deleteRecords, {
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 30 }] }],
      timeoutMs: 1000,
    })
    await client.call(deleteTopics, { topics: [{ name: 'gone', topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }], timeoutMs: 1000 })

    const folder = await copyOut(client, backupId)
    expect(await findingsIn(folder)).toEqual([])
    const copy = await startRelay({ config: { dataDir: folder } })
    const log = copy.engine.topicByName('t')!.partitions[0]!
    expect([log.startOffset, log.highWatermark]).toEqual([0, 20])
    expect(copy.engine.topicByName('gone')!.partitions[0]!.highWatermark).toBe(1)
    const reader = await RelayClient.open(copy.websocket.url)
    const { groups } = await reader.call(offsetFetch, { groups: [{ groupId: 'g', topics: null }] }, 9)
    expect(groups[0]!.topics[0]!.partitions[0]!.committedOffset).toBe(12)
    expect((await reader.produce(topicId, ['goes on'])).baseOffset).toBe(20)
  })

  test('it outlives a restart, is gone once it is closed, and none can be read that is not there', async () => {
    const dataDir = await temporaryFolder()
    const relay = await startRelay({ config: { dataDir } })
    const client = await RelayClient.open(relay.websocket.url)
    await client.produce(await client.createTopic('t'), ['a'])
    const { backupId, files } = await client.call(openBackup, { backupId: null, fromFile: 0 })
    await relay.close()
    const again = await RelayClient.open((await startRelay({ config: { dataDir } })).websocket.url)
    expect((await again.call(openBackup, { backupId, fromFile: 0 })).files).toEqual(files)
    expect((await again.call(openBackup, { backupId, fromFile: 2 })).files).toEqual(files.slice(2))
    const outside = [{ file: 99 }, { file: 0, position: 1e9 }, { file: 0, position: -1 }, { file: -1 }]
    for (const place of outside) {
      const body = Object.assign({ backupId, file: 0, position: 0, bytesMax: 10 }, place)
      expect((await again.call(readBackup, body)).errorCode).toBe(ErrorCode.INVALID_REQUEST)
    }
    expect((await again.call(closeBackup, { backupId })).errorCode).toBe(0)
    for (const id of [backupId, '../../etc', 'A'.repeat(22)]) {
      const { errorCode } = await again.call(openBackup, { backupId: id, fromFile: 0 })
      expect(errorCode).toBe(ErrorCode.RESOURCE_NOT_FOUND)
    }
    expect(await readdir(join(dataDir, 'backups'))).toEqual([])
  })

  test('there are never more than four, and those that nobody finishes go after a day', async () => {
    const clock = new HandClock()
    const relay = await startRelay({ clock })
    const client = await RelayClient.open(relay.websocket.url)
    const open = () => client.call(openBackup, { backupId: null, fromFile: 0 })
    for (let index = 0; index < 4; index++) expect((await open()).errorCode).toBe(0)
    expect((await open()).errorCode).toBe(ErrorCode.POLICY_VIOLATION)
    clock.jumpWallTo(clock.now() + 25 * 3_600_000)
    expect((await open()).errorCode).toBe(0)
    expect(await readdir(join(relay.dataDir, 'backups'))).toHaveLength(1)
    clock.jumpWallTo(clock.now() + 25 * 3_600_000)
    clock.advance(3_600_000)
    await eventually(async () => (await readdir(join(relay.dataDir, 'backups'))).length === 0)
  })

  test('only for those who may alter the relay', async () => {
    const authorizer = { allows: (_: unknown, operation: string) => operation !== 'alter' }
    const client = await RelayClient.open((await startRelay({ authorizer })).websocket.url)
    const refused = { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED }
    expect(await client.call(openBackup, { backupId: null, fromFile: 0 })).toMatchObject(refused)
    const id = 'A'.repeat(22)
    expect(await client.call(readBackup, { backupId: id, file: 0, position: 0, bytesMax: 1 })).toMatchObject(refused)
    expect(await client.call(closeBackup, { backupId: id })).toMatchObject(refused)
  })

  test('a partition that is damaged is not copied as if nothing were missing', async () => {
    const dataDir = await temporaryFolder()
    const relay = await startRelay({ config: { dataDir } })
    const client = await RelayClient.open(relay.websocket.url)
    const topicId = await client.createTopic('t')
    for (let index = 0; index < 10; index++) await client.produce(topicId, batchOf(`${index}`))
    const { dir } = relay.engine.topicByName('t')!.partitions[0]!
    await relay.close()
    for (const name of ['manifest', 'clean']) await rm(join(dir, name))
    const segment = join(dir, `${'0'.repeat(20)}.log`)
    const bytes = await readFile(segment)
    bytes[400]! ^= 1
    await writeFile(segment, bytes)
    const damaged = await startRelay({ config: { dataDir } })
    expect(damaged.engine.topicByName('t')!.partitions[0]!.state).toBe('offline')
    const again = await RelayClient.open(damaged.websocket.url)
    const { errorCode, errorMessage } = await again.call(openBackup, { backupId: null, fromFile: 0 })
    expect([errorCode, errorMessage]).toEqual([
      ErrorCode.KAFKA_STORAGE_ERROR,
      expect.stringMatching(/topics\/t\..*\/0 is damaged/),
    ])
  })

  test('tidying up leaves alone what is being made, and what cannot be read for a moment; closing twice at once is closing', async () => {
    const [memory, clock] = [new MemoryFiles(), new HandClock()]
    const files = new FaultyFiles(memory)
    await memory.makeDir('/data')
    await claimFormat(memory, '/data')
    const about = { files, dataDir: '/data', clock, random: seededRandom(1), logger: silentLogger, hold: () => [] }
    const points = new BackupPoints(about)
    points.start()
    let goOn = () => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const late = files.fail({ call: 'open', path: /data\/format$/, until: held })
    const making = points.make()
    await eventually(() => late.count === 1)
    clock.advance(3_600_000)
    await new Promise((resolve) => setImmediate(resolve))
    goOn()
    const { id } = await making
    expect(await points.read(id, 0, 0, 100)).not.toHaveLength(0)

    points.stop()
    const restarted = new BackupPoints(about)
    const unreadable = files.fail({ call: 'open', path: /point\.json$/, code: 'EMFILE' })
    await restarted.removeOutdated()
    expect(unreadable.count).toBe(1)
    expect((await restarted.find(id)).id).toBe(id)

    await Promise.all([restarted.close(id), restarted.close(id)])
    expect(await memory.list('/data/backups')).toEqual([])
  })

  test('one that is looked for while it is closed is not found, then or later', async () => {
    const memory = new MemoryFiles()
    const files = new FaultyFiles(memory)
    await memory.makeDir('/data')
    await claimFormat(memory, '/data')
    const options = { dataDir: '/data', clock: new HandClock(), random: seededRandom(1), logger: silentLogger }
    const about = { ...options, files, hold: () => [] }
    const { id } = await new BackupPoints(about).make()
    const restarted = new BackupPoints(about)
    let goOn = () => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const late = files.fail({ call: 'read', path: /point\.json$/, until: held })
    const found = restarted.find(id).catch((error) => error.code)
    await eventually(() => late.count === 1)
    await restarted.close(id)
    goOn()
    expect(await found).toBe(ErrorCode.RESOURCE_NOT_FOUND)
    await expect(restarted.find(id)).rejects.toMatchObject({ code: ErrorCode.RESOURCE_NOT_FOUND })
  })
})
