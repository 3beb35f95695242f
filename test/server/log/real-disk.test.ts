/** On a real file system: a process that is killed while it writes, descriptors, and how fast a log opens. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../../protocol/lib/clock.ts'
import { OpenFileLimit } from '../../../server/log/open-file-limit.ts'
import { nodeFiles } from '../../../server/storage/node-files.ts'
import { batchOf, batchOfSize } from '../../support/batches.ts'
import { appendEach, openLog, valuesFrom } from './log-fixture.ts'

const root = mkdtempSync(`${tmpdir()}/ottla-log-`)
const config = { segmentBytes: 20_000, messageTimestampAfterMaxMs: Number.MAX_SAFE_INTEGER }
const onDisk = (dir: string) => openLog({ files: nodeFiles, dir: `${root}/${dir}`, clock: systemClock, config })

beforeAll(async () => {
  const here = fileURLToPath(new URL('.', import.meta.url))
  await build({
    configFile: false,
    logLevel: 'error',
    build: {
      ssr: `${here}/kill-writer.ts`,
      outDir: `${root}/built`,
      target: 'node20',
      rollupOptions: { output: { entryFileNames: 'kill-writer.mjs' } },
    },
  })
})
afterAll(() => rmSync(root, { recursive: true }))

/** Lets the child write until it acknowledged `count` more records, kills it, and returns all that it acknowledged. */
function ackedUntilKilled(dir: string, count: number): Promise<Map<number, string>> {
  const child: ChildProcess = spawn(process.execPath, [`${root}/built/kill-writer.mjs`, dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const acked = new Map<number, string>()
  let rest = ''
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.stdout!.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop()!
      for (const line of lines) {
        const [offset, value] = line.split(' ')
        acked.set(Number(offset), value!)
      }
      if (acked.size >= count) child.kill('SIGKILL')
    })
    child.on('close', () => resolve(acked))
  })
}

test('[LOG-50] kill -9 under load, again and again: nothing acknowledged is lost or moved', async () => {
  const acked = new Map<number, string>()
  const kills = 30
  for (let round = 0; round < kills; round++) {
    for (const [offset, value] of await ackedUntilKilled(`${root}/killed`, 50 + round * 8)) {
      expect(acked.has(offset)).toBe(false)
      acked.set(offset, value)
    }
    const log = await onDisk('killed')
    expect(log.fault).toBeUndefined()
    const found = new Map((await valuesFrom(log, 0, 64_000)).map((each) => [Number.parseInt(each, 10), each] as const))
    for (const [offset, value] of acked) expect(found.get(offset)).toBe(`${offset}:${value}`)
    await log.close()
  }
  expect(acked.size).toBeGreaterThan(kills * 50)
}, 60_000)

test('[LOG-51] closed segments keep no more files open than the limit, whatever is read', async () => {
  const limit = new OpenFileLimit(3)
  let log = await onDisk('limited')
  for (let index = 0; index < 40; index++) log.append(batchOfSize(5000))
  await log.append(batchOf(['end'])).durable
  await log.close()
  log = await openLog({ files: nodeFiles, dir: `${root}/limited`, clock: systemClock, config, limit })
  const before = readdirSync('/proc/self/fd').length
  for (let offset = 0; offset < 40; offset++) await log.read(offset, 10)
  expect(readdirSync('/proc/self/fd').length - before).toBeLessThanOrEqual(5)
  await log.close()
})

test('[LOG-52] opening does not depend on how much the closed segments hold', async () => {
  const big = { segmentBytes: 8 * 1024 * 1024, maxMessageBytes: 2 * 1024 * 1024, retentionMs: -1 }
  const dir = `${root}/big`
  const log = await openLog({ files: nodeFiles, dir, config: big })
  for (let index = 0; index < 64; index++) await log.append(batchOfSize(1024 * 1024)).durable
  await log.close()
  const again = await openLog({ files: nodeFiles, dir, config: big })
  expect(again.recovery).toMatchObject({ isClean: true, scannedBytes: 0 })
  await appendEach(again, ['more'])
  await again.close()
})
