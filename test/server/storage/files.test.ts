/** What every Files promises, checked on each of them. */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterAll, describe, expect, test } from 'vitest'
import type { Files } from '../../../server/storage/files.ts'
import { isMissing, readFully, readWholeFile, replaceFile, writeFully } from '../../../server/storage/files.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { nodeFiles } from '../../../server/storage/node-files.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'

const root = mkdtempSync(`${tmpdir()}/ottla-files-`)
afterAll(() => rmSync(root, { recursive: true }))

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (content: Uint8Array | undefined) => content && new TextDecoder().decode(content)

const KINDS: Array<[name: string, make: () => Files, dir: string]> = [
  ['disk', () => nodeFiles, `${root}/disk`],
  ['memory', () => new MemoryFiles({ tracksPower: true }), '/memory'],
  ['faulty, without a fault', () => new FaultyFiles(nodeFiles), `${root}/faulty`],
]

describe.each(KINDS)('Files: %s', (_, make, dir) => {
  const files = make()

  test('folders with their parents, names sorted, nothing where nothing is', async () => {
    await files.makeDir(`${dir}/a/b`)
    await files.makeDir(`${dir}/a/b`)
    for (const name of ['y', 'x']) await (await files.open(`${dir}/a/${name}`, 'create')).close()
    expect(await files.list(`${dir}/a`)).toEqual(['b', 'x', 'y'])
    expect(await files.stat(`${dir}/a/b`)).toMatchObject({ isFolder: true })
    expect(await files.stat(`${dir}/a/none`)).toBeUndefined()
    await expect(files.list(`${dir}/none`)).rejects.toSatisfy(isMissing)
    await expect(files.open(`${dir}/a/none`, 'read')).rejects.toSatisfy(isMissing)
    await expect(files.open(`${dir}/a/x`, 'create')).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(files.remove(`${dir}/a`)).rejects.toMatchObject({ code: 'ENOTEMPTY' })
    await files.remove(`${dir}/a/b`)
    await files.remove(`${dir}/a/x`)
    expect(await files.list(`${dir}/a`)).toEqual(['y'])
    expect(await files.freeBytes(dir)).toBeGreaterThan(0)
  })

  test('a file with two names is one file, and lasts as long as one of them', async () => {
    await files.makeDir(`${dir}/links`)
    const file = await files.open(`${dir}/links/a`, 'create')
    await files.link(`${dir}/links/a`, `${dir}/links/b`)
    await writeFully(file, [bytes('both')], 0)
    await file.close()
    await expect(files.link(`${dir}/links/a`, `${dir}/links/b`)).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(files.link(`${dir}/links/none`, `${dir}/links/c`)).rejects.toSatisfy(isMissing)
    await files.remove(`${dir}/links/a`)
    expect(text(await readWholeFile(files, `${dir}/links/b`))).toBe('both')
  })

  test('positional writes, reads up to the end, truncation', async () => {
    await files.makeDir(dir)
    const file = await files.open(`${dir}/data`, 'create')
    await writeFully(file, [bytes('hello '), bytes('world')], 0)
    await writeFully(file, [bytes('W')], 6)
    await file.sync()
    expect(await file.size()).toBe(11)
    const into = new Uint8Array(20)
    expect(await readFully(file, into, 6)).toBe(5)
    expect(text(into.subarray(0, 5))).toBe('World')
    expect(await file.read(into, 100)).toBe(0)
    await file.truncate(5)
    await writeFully(file, [bytes('!')], 7)
    await file.close()
    await file.close()
    expect(await readWholeFile(files, `${dir}/data`)).toEqual(bytes('hello\0\0!'))
    await files.syncDir(dir)
  })

  test('a file is replaced whole, also over what an earlier try left behind', async () => {
    await files.makeDir(dir)
    await replaceFile(files, dir, 'manifest', bytes('one'))
    await (await files.open(`${dir}/manifest.tmp`, 'create')).close()
    await replaceFile(files, dir, 'manifest', bytes('two'))
    expect(text(await readWholeFile(files, `${dir}/manifest`))).toBe('two')
    expect(await files.stat(`${dir}/manifest.tmp`)).toBeUndefined()
    expect(await readWholeFile(files, `${dir}/nothing`)).toBeUndefined()
  })

  test('a folder is locked for one at a time', async () => {
    await files.makeDir(`${dir}/locked`)
    const release = await files.lock(`${dir}/locked`)
    await expect(files.lock(`${dir}/locked`)).rejects.toMatchObject({ code: 'LOCKED' })
    await release()
    await (await files.lock(`${dir}/locked`))()
    expect(await files.list(`${dir}/locked`)).toEqual([])
  })
})

test('on disk, folders are for their owner alone, and so are files', async () => {
  const dir = `${root}/modes`
  await nodeFiles.makeDir(dir)
  await (await nodeFiles.open(`${dir}/file`, 'create')).close()
  expect(statSync(dir).mode & 0o777).toBe(0o700)
  expect(statSync(`${dir}/file`).mode & 0o777).toBe(0o600)
})

test('after a power cut synced bytes and names are there, the others as the model says', async () => {
  const random = { next: () => 0.9, bytes: (count: number) => new Uint8Array(count) }
  const files = new MemoryFiles({ tracksPower: true })
  await files.makeDir('/d')
  const file = await files.open('/d/kept', 'create')
  await writeFully(file, [bytes('synced')], 0)
  await file.sync()
  await files.syncDir('/d')
  await writeFully(file, [bytes(' and not')], 6)
  await (await files.open('/d/nameless', 'create')).close()
  const after = async (model: 'kept' | 'dropped' | 'nameless') => {
    const disk = files.powerCut(model, random)
    return [await disk.list('/d'), text(await readWholeFile(disk, '/d/kept'))]
  }
  expect(await after('kept')).toEqual([['kept', 'nameless'], 'synced and not'])
  expect(await after('dropped')).toEqual([['kept'], 'synced'])
  expect(await after('nameless')).toEqual([['kept'], 'synced and not'])
})
