/** `ottla verify`: sound data, damaged data, missing folders, a relay that runs. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { endAll, runOttla, startRelay, temporaryFolder } from '../support/ottla-process.ts'

afterEach(endAll)

let made: string
beforeAll(async () => {
  made = mkdtempSync(join(tmpdir(), 'ottla-test-'))
  const relay = await startRelay(['--data', made])
  await runOttla(['topic', 'create', 't', '-p', '2', '--url', relay.url])
  for (const partition of ['0', '1']) {
    const input = Array.from({ length: 1000 }, (_, n) => `record ${n}\n`).join('')
    await runOttla(['produce', 't', '-p', partition, '--url', relay.url], { input })
  }
  relay.process.kill('SIGTERM')
  expect(await relay.exited).toBe(0)
})
afterAll(() => rmSync(made, { recursive: true }))

/** A copy of what a stopped relay has left, with two partitions of records, and where these lie. */
function stoppedRelay() {
  const data = temporaryFolder()
  cpSync(made, data, { recursive: true })
  const [topic = ''] = readdirSync(join(data, 'topics'))
  return { data, log: `topics/${topic}/1` }
}

const verify = (data: string) => runOttla(['verify', data, '--json'])

describe('[OPS-5] verify reads everything, changes nothing, and finds what is wrong', () => {
  test('sound data: code 0 and the counts', async () => {
    const { data } = stoppedRelay()
    const { code, stdout } = await verify(data)
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ sound: true, topics: 1, logs: 5, errors: 0, warnings: 0, findings: [] })
    expect(JSON.parse(stdout).records).toBeGreaterThanOrEqual(2000)
    expect((await runOttla(['verify', data])).stdout).toMatch(/^Sound: 1 topics, \d+ records/)
  })

  test('one flipped bit in the middle of a log: code 1, the file, the place', async () => {
    const { data, log } = stoppedRelay()
    const name = readdirSync(join(data, log)).find((each) => each.endsWith('.log'))!
    const path = join(data, log, name)
    const bytes = readFileSync(path)
    bytes[100]! ^= 4
    writeFileSync(path, bytes)
    const { code, stdout } = await verify(data)
    expect(code).toBe(1)
    const { sound, findings } = JSON.parse(stdout)
    expect(sound).toBe(false)
    expect(findings).toContainEqual(expect.objectContaining({ severity: 'error', log, file: name }))
    expect(readFileSync(path).equals(bytes)).toBe(true)
    expect((await runOttla(['verify', data])).stdout).toMatch(new RegExp(`^error: ${log}/${name}, `, 'm'))
  })

  test('a partition whose folder is gone, and a folder of no topic', async () => {
    const { data, log } = stoppedRelay()
    rmSync(join(data, log), { recursive: true })
    const { code, stdout } = await verify(data)
    expect(code).toBe(1)
    expect(JSON.parse(stdout).findings).toContainEqual(
      expect.objectContaining({ severity: 'error', log, message: 'the folder of partition 1 is missing' }),
    )
  })

  test('a relay that runs keeps its folder to itself', async () => {
    const data = temporaryFolder()
    await startRelay(['--data', data])
    const { code, stderr } = await verify(data)
    expect(code).toBe(1)
    expect(JSON.parse(stderr).error).toMatchObject({ code: 'LOCKED' })
  })

  test('a folder that holds something else', async () => {
    const { code, stderr } = await runOttla(['verify', temporaryFolder()])
    expect(code).toBe(1)
    expect(stderr).toMatch(/no data of a relay/)
  })
})

describe('[RPR-10] verify --repair says each step before it takes it', () => {
  async function damagedFolder() {
    const { data, log } = stoppedRelay()
    const name = readdirSync(join(data, log)).find((each) => each.endsWith('.log'))!
    const path = join(data, log, name)
    const bytes = readFileSync(path)
    bytes[100]! ^= 4
    writeFileSync(path, bytes)
    return { data, log, name, bytes }
  }

  test('a dry run changes nothing, --yes repairs, then the folder is sound and served', async () => {
    const { data, log, name, bytes } = await damagedFolder()
    const dry = await runOttla(['verify', data, '--repair', '--dry-run'])
    expect(dry.code).toBe(1)
    expect(dry.stdout).toMatch(new RegExp(`^1\\. ${log}/${name}: offsets 0 .* cannot be read and are lost`))
    expect(readFileSync(join(data, log, name)).equals(bytes)).toBe(true)

    const { code, stdout } = await runOttla(['verify', data, '--repair', '--yes', '--json'])
    expect(code).toBe(0)
    const { sound, repair } = JSON.parse(stdout)
    expect(sound).toBe(true)
    expect(repair.steps).toMatchObject([{ log, file: name, lost: [{ fromOffset: 0 }] }])
    expect(readFileSync(join(repair.quarantine, log, name)).equals(bytes)).toBe(true)
    const relay = await startRelay(['--data', data])
    const read = await runOttla(['consume', 't', '-p', '1', '--from', 'start', '--exit', '--url', relay.url])
    const { toOffset } = repair.steps[0].lost[0]
    expect(read.stdout).toBe(Array.from({ length: 1000 - toOffset }, (_, n) => `record ${n + toOffset}\n`).join(''))
  })

  test('a sound folder needs nothing; without a terminal nobody is asked', async () => {
    const { data } = stoppedRelay()
    const { code, stdout } = await runOttla(['verify', data, '--repair', '--yes'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Nothing to repair\.\nSound: /)
    const unasked = await runOttla(['verify', data, '--repair'])
    expect(unasked.code).toBe(2)
    expect(unasked.stderr).toMatch(/--dry-run.*--yes/)
  })
})
