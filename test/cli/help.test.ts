/** Help, usage errors and exit codes: nothing here needs a relay. */
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { commands } from '../../cli/commands.ts'
import { endAll, runOttla } from '../support/ottla-process.ts'

afterEach(endAll)

describe('[CLI-4] help is everywhere, on standard output, with code 0', () => {
  test.each([['--help'], ['-h'], ['help'], []])('ottla %s lists the commands', async (...args) => {
    const { code, stdout } = await runOttla(args)
    expect(code).toBe(0)
    for (const { name } of commands) expect(stdout).toContain(`  ${name} `)
  })

  test.each(commands.map(({ name }) => name))('ottla %s --help has usage and examples', async (name) => {
    const { code, stdout, stderr } = await runOttla([...name.split(' '), '--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`Usage: ottla ${name}`)
    expect(stdout).toMatch(new RegExp(`Examples:\n  .*ottla ${name}`))
    expect(stdout).toContain('--json')
  })

  test('--version says the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    expect(await runOttla(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })
})

describe('[CLI-5] wrong calls end with 2, a reason, and a suggestion', () => {
  test.each([
    [['serv'], /unknown command 'serv'; did you mean 'serve'\?/],
    [['topic', 'lst'], /unknown command 'topic lst'; did you mean 'topic list'\?/],
    [['topic'], /topic what\? Use one of create, list, describe, alter, delete/],
    [['serve', '--http-prot', '1'], /unknown flag --http-prot; did you mean --http-port\?/],
    [['serve', 'now'], /'now' is one argument too many/],
    [['serve', '--http-port'], /--http-port/],
    [['serve', '--http-port', '99999'], /--http-port on the command line: '99999' is not allowed; use .*0 to 65535/],
    [['serve', '--topic-default', 'x'], /--topic-default: 'x' is not allowed; use NAME=VALUE/],
    [['serve', '--topic-default', 'log.retention.mss=1'], /log\.retention\.mss.*log\.retention\.ms/],
    [['topic', 'create'], /TOPIC is missing/],
    [['topic', 'create', 'a', '--partitions', '0'], /--partitions: '0' is not allowed; use a whole number, 1 to 10000/],
    [['topic', 'alter', 'a'], /nothing to change/],
    [['consume', 'a', '--from', 'yesterday'], /--from: 'yesterday' is not allowed; use beginning, end/],
    [['consume', 'a', '--format', '%q'], /'%q' is not allowed/],
    [['produce', 'a', '--format', 'xml'], /--format: 'xml' is not allowed; use lines or ndjson/],
    [['produce', 'a', '--header', 'x'], /--header: 'x' is not allowed; use NAME=VALUE/],
    [['verify', '/nowhere/at/all'], /\/nowhere\/at\/all: no such folder/],
    [['topic', 'list', '--url', 'ftp://x'], /--url: 'ftp:\/\/x' is not allowed/],
  ])('ottla %j', async (args, message) => {
    const { code, stdout, stderr } = await runOttla(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/Try: ottla.* --help/)
  })

  test('--json tells it to programs', async () => {
    const { code, stderr } = await runOttla(['topic', 'create', '--json'])
    expect(code).toBe(2)
    expect(JSON.parse(stderr.split('\n')[0]!)).toEqual({ error: { code: 'USAGE', message: 'TOPIC is missing' } })
  })
})

describe('[CLI-6] a relay that is not there is one clear line and code 1', () => {
  test.each([
    ['topic', 'list'],
    ['produce', 't'],
    ['consume', 't'],
  ])('ottla %s', async (...args) => {
    const { code, stdout, stderr } = await runOttla([...args, '--url', 'ws://127.0.0.1:1'], { input: 'x\n' })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^ottla: cannot reach a relay at ws:\/\/127\.0\.0\.1:1\/?: connection refused.*\n$/)
  })

  test('OTTLA_URL is looked at when --url is not given', async () => {
    const { stderr } = await runOttla(['topic', 'list'], { environment: { OTTLA_URL: 'ws://127.0.0.1:2' } })
    expect(stderr).toContain('ws://127.0.0.1:2')
  })
})
