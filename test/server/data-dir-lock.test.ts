/** The lock of a data folder: exclusive among the living, taken over from the dead. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DataDirLockedError, lockDataDir } from '../../server/data-dir-lock.ts'

let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ottla-lock-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

test('[OPS-1] a second owner is refused, and the refusal names folder and process', () => {
  const lock = lockDataDir(dir)
  expect(() => lockDataDir(dir)).toThrow(DataDirLockedError)
  expect(() => lockDataDir(dir)).toThrow(new RegExp(`${dir}.*process ${process.pid}`))
  lock.release()
  lockDataDir(dir).release()
  expect(readdirSync(dir)).toEqual([])
})

test('[OPS-2] the lock of a process that was killed is taken over', async () => {
  const owner = spawn(process.execPath, ['-e', ''])
  const pid = owner.pid
  await new Promise((resolve) => owner.on('exit', resolve))
  writeFileSync(join(dir, 'relay.lock'), `${pid} 1\n`)
  const lock = lockDataDir(dir)
  expect(readFileSync(join(dir, 'relay.lock'), 'utf8')).toMatch(new RegExp(`^${process.pid} `))
  lock.release()
  expect(readdirSync(dir)).toEqual([])
})

test.runIf(process.platform === 'linux')(
  '[OPS-2] a living process with the same id but another start is not the owner',
  () => {
    writeFileSync(join(dir, 'relay.lock'), `${process.pid} 12345\n`)
    lockDataDir(dir).release()
  },
)

test.each(['', '\n', 'nonsense', '-1 5', '99999999999999999999'])(
  '[OPS-2] a lock file that holds %j locks nothing',
  (text) => {
    writeFileSync(join(dir, 'relay.lock'), text)
    lockDataDir(dir).release()
  },
)

test('[OPS-1] releasing twice, or after somebody else took over, removes nothing that is not ours', () => {
  const lock = lockDataDir(dir)
  writeFileSync(join(dir, 'relay.lock'), '1 1\n')
  lock.release()
  lock.release()
  expect(readFileSync(join(dir, 'relay.lock'), 'utf8')).toBe('1 1\n')
})
