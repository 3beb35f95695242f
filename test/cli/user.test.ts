/** `ottla user …`, and commands that sign in, against a real relay. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { endAll, runOttla, startRelay, temporaryFolder } from '../support/ottla-process.ts'

afterEach(endAll)

const SASL = ['--sasl-enabled-mechanisms', 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512']

function secretFile(content: string): string {
  const path = join(temporaryFolder(), 'secret')
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

async function relayWithRoot() {
  const relay = await startRelay([...SASL, '--kafka-port', '0', '--users-file', secretFile('root:pass:word\n')])
  const asRoot = ['--user', 'root', '--password-file', secretFile('pass:word\n')]
  return { relay, asRoot, run: (...args: string[]) => runOttla([...args, '--url', relay.url, ...asRoot]) }
}

test('[CLI-15] users are made, listed and taken away; their password comes from standard input or a file', async () => {
  const { relay, asRoot, run } = await relayWithRoot()
  expect(await run('user', 'list')).toMatchObject({ code: 0, stdout: '', stderr: 'No users have been made.\n' })
  const add = ['user', 'add', 'ada', '--url', relay.url, ...asRoot]
  expect(await runOttla(add, { input: 'first\n' })).toMatchObject({
    code: 0,
    stdout: 'ada may sign in by SCRAM-SHA-256 and SCRAM-SHA-512\n',
    stderr: '',
  })
  expect(await run('user', 'add', 'ada', '--new-password-file', secretFile('second'))).toMatchObject({ code: 0 })
  const asAda = (password: string) =>
    runOttla(['topic', 'list', '--url', relay.url], { environment: { OTTLA_USER: 'ada', OTTLA_PASSWORD: password } })
  expect(await asAda('second')).toMatchObject({ code: 0 })
  expect(await asAda('first')).toMatchObject({ code: 1, stderr: expect.stringContaining('invalid credentials') })
  expect(JSON.parse((await run('user', 'list', '--json')).stdout)).toEqual([
    {
      user: 'ada',
      credentials: [
        { mechanism: 'SCRAM-SHA-256', iterations: 8192 },
        { mechanism: 'SCRAM-SHA-512', iterations: 8192 },
      ],
    },
  ])
  const removed = await run('user', 'remove', 'ada', 'nobody')
  expect(removed).toMatchObject({ code: 1, stdout: 'ada was removed\n', stderr: expect.stringContaining('nobody') })
  expect(await asAda('second')).toMatchObject({ code: 1 })
})

describe('[CLI-16] commands sign in', () => {
  test.each(['SCRAM-SHA-256', 'SCRAM-SHA-512', 'PLAIN'])('by %s, through both doors', async (mechanism) => {
    const { relay, asRoot } = await relayWithRoot()
    for (const door of [
      ['--url', relay.url],
      ['--bootstrap-server', relay.ready.kafka!],
    ]) {
      const args = ['cluster', 'describe', ...door, ...asRoot, '--mechanism', mechanism]
      expect(await runOttla(args)).toMatchObject({ code: 0, stderr: '' })
    }
  })

  test('and say what is missing', async () => {
    const { relay, asRoot } = await relayWithRoot()
    const run = (...args: string[]) => runOttla(['topic', 'list', '--url', relay.url, ...args])
    expect(await run()).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^ottla: not signed in to a relay at .* \(give --user and --password-file/),
    })
    expect(await run('--user', 'root')).toMatchObject({ code: 2, stderr: expect.stringContaining('OTTLA_PASSWORD') })
    expect(await run('--password-file', 'x')).toMatchObject({ code: 2, stderr: expect.stringContaining('--user') })
    expect(await run('--user', 'root', '--password-file', '/nowhere')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('/nowhere: no such file'),
    })
    expect(await run(...asRoot, '--mechanism', 'GSSAPI')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--mechanism: 'GSSAPI' is not allowed"),
    })
    expect(await run('--token-file', secretFile('a.b.c'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('OAUTHBEARER is not offered'),
    })
  })
})

test('[CLI-17] what is said of rights too little or too much is told', async () => {
  const calls = [
    [['add', '--principal', 'ada', '--operation', 'read'], /on what\?/],
    [['add', '--topic', 'a', '--operation', 'read'], /who\?/],
    [['add', '--topic', 'a', '--principal', 'ada'], /what\?/],
    [['add', '--topic', 'a', '--group', 'b'], /one of --topic, --group/],
    [['add', '--topic', 'a', '--principal', 'ada', '--operation', 'fly'], /'fly' is not allowed; use all, read/],
    [['remove'], /which\?/],
  ] as const
  for (const [args, message] of calls)
    expect(await runOttla(['acl', ...args])).toMatchObject({ code: 2, stderr: expect.stringMatching(message) })
})

test('[CLI-17] rights are given, listed and taken away', { timeout: 90_000 }, async () => {
  const relay = await startRelay([
    ...[...SASL, '--users-file', secretFile('root:pass:word\nada:a\n')],
    ...['--access-control', 'lists', '--super-users', 'User:root;User:other'],
  ])
  const asRoot = ['--url', relay.url, '--user', 'root', '--password-file', secretFile('pass:word')]
  const run = (...args: string[]) => runOttla([...args, ...asRoot])
  const asAda = (...args: string[]) =>
    runOttla([...args, '--url', relay.url], { input: 'x\n', environment: { OTTLA_USER: 'ada', OTTLA_PASSWORD: 'a' } })
  await run('topic', 'create', 'orders')
  expect(await asAda('produce', 'orders')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/not allowed|authori/i),
  })
  const may = ['--principal', 'ada', '--topic', 'ord', '--prefixed']
  expect(await run('acl', 'add', ...may, '--operation', 'write', '--operation', 'READ')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/User:ada +allow +write +topic +ord +prefixed +\*/),
  })
  expect(await asAda('produce', 'orders')).toMatchObject({ code: 0 })
  expect(await asAda('consume', 'orders', '--from', 'beginning', '--count', '1')).toMatchObject({
    code: 0,
    stdout: 'x\n',
  })
  expect(await asAda('acl', 'list')).toMatchObject({ code: 1 })
  const listed = JSON.parse((await run('acl', 'list', '--topic', 'orders', '--json')).stdout)
  expect(listed).toHaveLength(2)
  expect(await run('acl', 'remove', ...may, '--operation', 'write')).toMatchObject({ code: 0 })
  expect(await asAda('produce', 'orders')).toMatchObject({ code: 1 })
  expect(await run('acl', 'remove', '--principal', 'nobody')).toMatchObject({
    code: 1,
    stderr: 'No access rights match; nothing was removed.\n',
  })
})
