/** A damaged data folder, repaired, is one that verifies clean, that a relay serves, and that has kept all it could. */
import { cp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { HandClock } from '../../protocol/lib/clock.ts'
import { type Random, randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import { offsetCommit } from '../../protocol/messages/group-offsets.ts'
import { initProducerId } from '../../protocol/messages/producers.ts'
import { type DataDirStep, planRepair } from '../../server/engine/repair.ts'
import { type DataDirFinding, verifyDataDir } from '../../server/engine/verify.ts'
import { nodeFiles } from '../../server/storage/node-files.ts'
import { startRelay, temporaryFolder } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { storedRecords } from '../support/stored-records.ts'

const TOPICS = ['flights', 'gates.north']
const PARTITIONS = 2
const RECORDS = 30

/** Two topics of two partitions, a producer id that was given out, a commit. */
async function makeImage(): Promise<string> {
  const relay = await startRelay()
  const client = await RelayClient.open(relay.websocket.url)
  for (const name of TOPICS) {
    const topicId = await client.createTopic(name, { partitions: PARTITIONS, configs: { 'segment.bytes': '1024' } })
    for (let index = 0; index < RECORDS; index++) {
      for (let partition = 0; partition < PARTITIONS; partition++)
        await client.produce(topicId, [`${index}`], partition)
    }
    const topics = [{ topicId, partitions: [{ partitionIndex: 0, committedOffset: 5 }] }]
    await client.call(offsetCommit, { groupId: 'g', memberId: '', generationIdOrMemberEpoch: -1, topics })
  }
  await client.call(initProducerId, { transactionTimeoutMs: 0 })
  await relay.close()
  return relay.dataDir
}

async function copyOf(image: string): Promise<string> {
  const dir = await temporaryFolder()
  await cp(image, dir, { recursive: true, filter: (path) => !path.endsWith('.sock') })
  return dir
}

async function repair(dir: string): Promise<DataDirStep[]> {
  const planned = await planRepair({ files: nodeFiles, clock: new HandClock(), random: seededRandom(1) }, dir)
  try {
    await planned.carryOut()
    return planned.steps
  } finally {
    await planned.close()
  }
}

async function findingsIn(dir: string): Promise<DataDirFinding[]> {
  const findings: DataDirFinding[] = []
  for await (const finding of verifyDataDir(nodeFiles, dir)) findings.push(finding)
  return findings
}

/** Serves the folder, and returns what each partition holds. Writing goes on everywhere. */
async function served(dir: string, topics = TOPICS): Promise<Map<string, Array<{ offset: number; value: string }>>> {
  const relay = await startRelay({ config: { dataDir: dir } })
  const client = await RelayClient.open(relay.websocket.url)
  const found = new Map<string, Array<{ offset: number; value: string }>>()
  for (const name of topics) {
    const topicId = await client.topicId(name)
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const stored = await storedRecords(relay.websocket.url, topicId, partition)
      found.set(`${name}-${partition}`, stored)
      expect(await client.produce(topicId, ['after'], partition)).toMatchObject({ errorCode: 0 })
    }
  }
  await relay.close()
  return found
}

const lostIn = (steps: readonly DataDirStep[], log: RegExp) =>
  steps.filter((step) => log.test(step.log)).flatMap(({ lost }) => lost)

async function wound(path: string, random: Random): Promise<void> {
  const bytes = await readFile(path)
  const kind = randomBelow(random, 4)
  if (kind === 0) await rm(path)
  else if (kind === 1) await truncate(path, randomBelow(random, bytes.length + 1))
  else if (kind === 2 && bytes.length > 0) {
    const at = randomBelow(random, bytes.length)
    await writeFile(path, bytes.fill(0, at, Math.min(bytes.length, at + 64)))
  } else if (bytes.length > 0) {
    const at = randomBelow(random, bytes.length)
    bytes[at] = bytes[at]! ^ (1 << randomBelow(random, 8))
    await writeFile(path, bytes)
  }
}

const ROUNDS = Number(process.env.OTTLA_REPAIR_ROUNDS ?? 12)

test('[RPR-7] wounds anywhere in a data folder: repaired it verifies clean, every topic is served, only what is told is lost', async () => {
  const image = await makeImage()
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const random = seededRandom(seed)
    const dir = await copyOf(image)
    const all = await readdir(dir, { recursive: true, withFileTypes: true })
    const files = all.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    const hit: string[] = []
    for (let count = 0; count < 3; count++) {
      const path = files[randomBelow(random, files.length)]!
      if (!hit.includes(path)) await wound(path, random)
      hit.push(path)
    }
    const context = `seed ${seed}: ${hit.map((path) => path.slice(dir.length + 1)).join(', ')}`
    const steps = await repair(dir).catch((error) => {
      throw new Error(`${context}: ${error}`, { cause: error })
    })
    expect(await findingsIn(dir), context).toEqual([])
    const found = await served(dir)
    for (const [name, stored] of found) {
      const [topic, partition] = [name.slice(0, -2), name.slice(-1)]
      const lost = lostIn(steps, new RegExp(`^topics/${topic.replace('.', '\\.')}\\.[^.]+/${partition}$`))
      const isLost = (offset: number) => lost.some((range) => range.fromOffset <= offset && offset < range.toOffset)
      // Without its manifest and its first segment nobody knows that a log once began earlier.
      const isBeginKnown = !hit.some((path) => path.includes(`/${topic}.`) && path.endsWith(`/${partition}/manifest`))
      const start = isBeginKnown ? 0 : stored[0]!.offset
      const kept = Array.from({ length: RECORDS }, (_, offset) => ({ offset, value: `${offset}` })).filter(
        ({ offset }) => offset >= start && !isLost(offset),
      )
      // Offsets that were given out are not given out again.
      expect(stored, `${context}, ${name}`).toEqual(kept)
    }
    expect(await findingsIn(dir), context).toEqual([])
  }
}, 600_000)

test('[RPR-8] with its metadata gone, topics are known again by their folders, and ids are not given out twice', async () => {
  const image = await makeImage()
  for (const how of ['folder', 'segments', 'a bit of each batch']) {
    const dir = await copyOf(image)
    const metadata = join(dir, 'metadata')
    if (how === 'folder') await rm(metadata, { recursive: true })
    for (const name of how === 'folder' ? [] : (await readdir(metadata)).filter((each) => each.endsWith('.log'))) {
      if (how === 'segments') await rm(join(metadata, name))
      else {
        const bytes = await readFile(join(metadata, name))
        for (let at = 0; at < bytes.length; at += 61) bytes[at] = bytes[at]! ^ 8
        await writeFile(join(metadata, name), bytes)
      }
    }
    const steps = await repair(dir)
    expect(steps.map(({ message }) => message).join('\n')).toMatch(
      /topic flights is known again, with the 2 partitions/,
    )
    expect(await findingsIn(dir)).toEqual([])
    const found = await served(dir)
    for (const stored of found.values()) expect(stored).toHaveLength(RECORDS)
    const relay = await startRelay({ config: { dataDir: dir } })
    const client = await RelayClient.open(relay.websocket.url)
    const { producerId } = await client.call(initProducerId, { transactionTimeoutMs: 0 })
    expect(producerId).toBeGreaterThan(1000)
    await relay.close()
  }
})

test('[RPR-9] a partition that is gone begins anew, empty; folders of no topic go to the quarantine; a sound folder is left alone', async () => {
  const dir = await copyOf(await makeImage())
  expect(await repair(dir)).toEqual([])
  expect(await readdir(dir)).not.toContain('quarantine')
  const flights = (await readdir(join(dir, 'topics'))).find((name) => name.startsWith('flights.'))!
  await rm(join(dir, 'topics', flights, '1'), { recursive: true })
  const stray = `stray.${'A'.repeat(22)}`
  await nodeFiles.makeDir(join(dir, 'topics', stray, '0'))
  expect((await findingsIn(dir)).map(({ severity }) => severity)).toEqual(['error', 'warning'])
  const steps = await repair(dir)
  expect(steps.map(({ message }) => message)).toEqual([
    'nothing is left of this log; it begins anew, empty, at offset 0',
    'belongs to no topic; moved to the quarantine',
  ])
  expect(await findingsIn(dir)).toEqual([])
  expect((await served(dir)).get('flights-1')).toEqual([])
  const [time] = await readdir(join(dir, 'quarantine'))
  expect((await stat(join(dir, 'quarantine', time!, 'topics', stray, '0'))).isDirectory()).toBe(true)
})
