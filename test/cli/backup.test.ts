/** `ottla backup` and `ottla restore`, as an administrator types them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Invocation } from '../../cli/command.ts'
import { restore } from '../../cli/restore.ts'
import { connect } from '../../client/index.ts'
import { endAll, runOttla, startRelay, temporaryFolder } from '../support/ottla-process.ts'

afterEach(endAll)

async function relayWithRecords() {
  const data = temporaryFolder()
  const relay = await startRelay(['--data', data])
  const ottla = await connect(relay.url)
  await ottla.admin.createTopics([{ name: 't', partitions: 2 }])
  const receipts = ottla
    .topic('t')
    .sendAll(Array.from({ length: 500 }, (_, n) => ({ key: `k${n}`, value: Buffer.from(`v${n}`) })))
  await Promise.all(receipts.map(({ committed }) => committed))
  await ottla.close()
  return { data, relay }
}

describe('[OPS-11] a backup of a running relay, restored, is the relay as it was', () => {
  test('backup, restore, serve: every record is there', async () => {
    const { relay } = await relayWithRecords()
    const [backup, restored] = [join(temporaryFolder(), 'b'), join(temporaryFolder(), 'r')]
    const made = await runOttla(['backup', backup, '--url', relay.url])
    expect(made).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/1 topics, 50\d records, .* Every batch is sound\./),
    })
    expect(existsSync(join(backup, '.backup.json'))).toBe(false)
    expect(await runOttla(['restore', backup, restored])).toMatchObject({ code: 0 })
    const again = await startRelay(['--data', restored])
    const { stdout } = await runOttla(['consume', 't', '--from', 'beginning', '--url', again.url])
    expect(stdout.trim().split('\n')).toHaveLength(500)
    expect(await runOttla(['restore', backup, restored])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/not empty/),
    })
  })

  test('an interrupted one goes on where it was, and is neither restored nor served before', async () => {
    const { data, relay } = await relayWithRecords()
    const backup = join(temporaryFolder(), 'b')
    const ottla = await connect(relay.url)
    const point = await ottla.admin.openBackup()
    await ottla.close()
    // As if the copy had been killed in the middle of a segment.
    mkdirSync(backup)
    writeFileSync(join(backup, '.backup.json'), JSON.stringify({ id: point.id }))
    const { path, sizeBytes } = point.files.find(
      (file) => file.path.startsWith('topics/') && file.path.endsWith('.log'),
    )!
    mkdirSync(join(backup, path, '..'), { recursive: true })
    writeFileSync(join(backup, path), readFileSync(join(data, path)))
    truncateSync(join(backup, path), Math.floor(sizeBytes / 2))
    expect(await runOttla(['restore', backup, join(temporaryFolder(), 'r')])).toMatchObject({ code: 2 })
    const { code, stderr } = await runOttla(['serve', '--data', backup, '--http-port', '0', '--kafka-port', 'off'])
    expect([code, stderr]).toEqual([1, expect.stringMatching(/metadata is missing/)])
    rmSync(join(backup, 'metadata'), { recursive: true })
    for (const left of ['format', 'backups', 'lock']) rmSync(join(backup, left), { recursive: true, force: true })
    expect(await runOttla(['backup', backup, '--url', relay.url])).toMatchObject({ code: 0 })
    expect(readFileSync(join(backup, path))).toEqual(readFileSync(join(data, path)))
    expect(readdirSync(join(data, 'backups'))).toEqual([])
  })

  test('a point that is gone says so, --restart begins anew; a folder with other things is left alone', async () => {
    const { relay } = await relayWithRecords()
    const backup = temporaryFolder()
    writeFileSync(join(backup, '.backup.json'), JSON.stringify({ id: 'A'.repeat(22) }))
    const gone = await runOttla(['backup', backup, '--url', relay.url])
    expect(gone).toMatchObject({ code: 1, stderr: expect.stringMatching(/no backup point/) })
    expect(await runOttla(['backup', backup, '--restart', '--url', relay.url])).toMatchObject({ code: 0 })
    const other = temporaryFolder()
    writeFileSync(join(other, 'mine'), 'x')
    expect(await runOttla(['backup', other, '--url', relay.url])).toMatchObject({ code: 2 })
    expect(readdirSync(other)).toEqual(['mine'])
  })

  test('begun anew, it does not leave the point of the first try with the relay', async () => {
    const { data, relay } = await relayWithRecords()
    const backup = temporaryFolder()
    const ottla = await connect(relay.url)
    const { id } = await ottla.admin.openBackup()
    await ottla.close()
    writeFileSync(join(backup, '.backup.json'), JSON.stringify({ id }))
    expect(await runOttla(['backup', backup, '--restart', '--url', relay.url])).toMatchObject({ code: 0 })
    expect(readdirSync(join(data, 'backups'))).toEqual([])
    // Of a disk that was full as it began.
    const empty = temporaryFolder()
    writeFileSync(join(empty, '.backup.json'), '')
    const unreadable = await runOttla(['backup', empty, '--url', relay.url])
    expect(unreadable).toMatchObject({ code: 2, stderr: expect.stringMatching(/--restart/) })
    expect(await runOttla(['backup', empty, '--restart', '--url', relay.url])).toMatchObject({ code: 0 })
  })

  test('a restored folder with half of its metadata is never served', async () => {
    const { relay } = await relayWithRecords()
    const backup = join(temporaryFolder(), 'b')
    expect(await runOttla(['backup', backup, '--url', relay.url])).toMatchObject({ code: 0 })
    const fileCount = readdirSync(backup, { recursive: true, withFileTypes: true }).filter((each) =>
      each.isFile(),
    ).length
    const output = { endProgress() {}, progress() {}, note() {}, line: async () => {}, json: async () => {} }
    let left = fileCount - 1
    const signal = {
      throwIfAborted() {
        if (left-- === 0) throw new Error('interrupted')
      },
    }
    const restored = join(temporaryFolder(), 'r')
    const invocation = { positionals: [backup, restored], output, json: false, signal } as unknown as Invocation
    await expect(restore(invocation)).rejects.toThrow('interrupted')
    expect(existsSync(join(restored, 'metadata'))).toBe(false)
    const { code, stderr } = await runOttla(['serve', '--data', restored, '--http-port', '0', '--kafka-port', 'off'])
    expect([code, stderr]).toEqual([1, expect.stringMatching(/metadata is missing/)])
  })
})
