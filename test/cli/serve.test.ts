/** `ottla serve` as a process: the ready line, stopping, one relay per folder and port, configuration. */

import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import {
  endAll,
  type OttlaProcess,
  runOttla,
  startOttla,
  startRelay,
  temporaryFolder,
} from '../support/ottla-process.ts'

const run = promisify(execFile)

afterEach(endAll)

describe('[OPS-3] the ready line', () => {
  test('in JSON it has exactly the fields that programs rely on, and comes when connections are accepted', async () => {
    const data = temporaryFolder()
    const relay = await startRelay(['--data', data])
    expect(relay.ready).toEqual({
      event: 'ready',
      http: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      websocket: relay.ready.http.replace('http', 'ws'),
      dataDir: data,
    })
    expect((await fetch(`${relay.ready.http}/livez`)).status).toBe(200)
    expect(relay.stdout()).toBe(`${JSON.stringify(relay.ready)}\n`)
  })

  test('in text it names page, clients and folder', async () => {
    const data = temporaryFolder()
    const relay = startOttla(['serve', '--http-port', '0', '--data', data])
    const line = await eventually(() => /^.*\n/.exec(relay.stdout())?.[0], { withinMs: 10_000 })
    expect(line).toMatch(/http:\/\/127\.0\.0\.1:\d+, .*ws:\/\/127\.0\.0\.1:\d+, /)
    expect(line).toContain(data)
  })
})

describe('[OPS-4] a signal stops the relay cleanly', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s: exit code 0, folder free again', async (signal) => {
    const data = temporaryFolder()
    const relay = await startRelay(['--data', data])
    relay.process.kill(signal)
    expect(await relay.exited).toBe(0)
    const again = await startRelay(['--data', data])
    again.process.kill(signal)
    expect(await again.exited).toBe(0)
  })

  test('SIGKILL leaves nothing behind that keeps the next relay out', async () => {
    const data = temporaryFolder()
    const relay = await startRelay(['--data', data])
    relay.process.kill('SIGKILL')
    await relay.exited
    await startRelay(['--data', data])
  })
})

describe('[OPS-1] what another process holds is refused with one clear line and code 1', () => {
  test('a second relay on the same folder', async () => {
    const data = temporaryFolder()
    const first = await startRelay(['--data', data])
    const { code, stdout, stderr } = await runOttla(['serve', '--http-port', '0', '--data', data])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toBe(
      `ottla: data folder ${data} is in use by another relay; stop it, or choose another --data folder\n`,
    )
    expect((await fetch(`${first.ready.http}/livez`)).status).toBe(200)
  })

  test('a port in use, and the folder is free afterwards', async () => {
    const data = temporaryFolder()
    const server = createServer().listen(0, '127.0.0.1')
    await eventually(() => server.listening)
    const { port } = server.address() as AddressInfo
    const { code, stderr } = await runOttla(['serve', '--http-port', String(port), '--data', data])
    server.close()
    expect(code).toBe(1)
    expect(stderr).toMatch(
      new RegExp(`^ottla: port ${port} is already in use.*; choose another --http-port, or 0 for a free one\n$`),
    )
    await startRelay(['--data', data])
  })
})

describe('[OPS-6] the Kafka door', () => {
  /** Everything of 127.0.0.0/8 is this machine, so port 9092 is free at most of these addresses. */
  const ownHost = () => `127.${[0, 0, 0].map(() => 1 + Math.floor(Math.random() * 250)).join('.')}`
  const serve = (...flags: string[]) => ['serve', '--http-port', '0', '--data', temporaryFolder(), ...flags]
  const readyLine = (relay: OttlaProcess) => eventually(() => /^.*\n/.exec(relay.stdout())?.[0], { withinMs: 10_000 })

  test('is open at 9092 without a word, and named in the ready line', async () => {
    const host = ownHost()
    const relay = startOttla(serve('--host', host))
    expect(await readyLine(relay)).toContain(`Kafka clients ${host}:9092,`)
    const listed = await run('kcat', ['-b', `${host}:9092`, '-L'], { timeout: 20_000 })
    expect(listed.stdout).toContain(`broker 1 at ${host}:9092`)
  })

  test('taken by another program: the relay starts without, and says who has it and what to do', async () => {
    const host = ownHost()
    const first = startOttla(serve('--host', host))
    await readyLine(first)
    const second = startOttla(serve('--host', host))
    const missing = `port 9092 is already in use by node, process ${first.process.pid}; --kafka-port chooses another, off keeps the door closed`
    expect(await readyLine(second)).toContain(`no Kafka clients (${missing})`)
    expect(second.stderr()).toMatch(/warn +kafka port taken/)
  })

  test('asked for by its number and taken: the relay does not start', async () => {
    const host = ownHost()
    const first = startOttla(serve('--host', host))
    await readyLine(first)
    const { code, stdout, stderr } = await runOttla(serve('--host', host, '--kafka-port', '9092'))
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    const taken = `port 9092 is already in use by node, process ${first.process.pid}`
    expect(stderr).toBe(`ottla: ${taken}; choose another --kafka-port, or 0 for a free one\n`)
  })

  test.each(['off', '-1'])('%s keeps it closed', async (word) => {
    const relay = startOttla(serve('--kafka-port', word))
    expect(await readyLine(relay)).not.toContain('Kafka')
  })
})

describe('[CFG-1] configuration reaches the relay', () => {
  test('flags win over the environment, the environment over the file; unknown keys are listed once', async () => {
    const folder = temporaryFolder()
    const config = join(folder, 'server.properties')
    writeFileSync(config, `log.dirs=${join(folder, 'from-file')}\nhttp-port=1\nbroker.id=3\nnum.partition=2\n`)
    const relay = startOttla(['serve', '--config', config, '--http-port', '0', '--log-format', 'json'], {
      environment: { OTTLA_HTTP_PORT: '2', OTTLA_DATA_DIR: join(folder, 'from-environment') },
    })
    const line = await eventually(() => /^.*\n/.exec(relay.stdout())?.[0], { withinMs: 10_000 })
    expect(JSON.parse(line)).toMatchObject({ dataDir: join(folder, 'from-environment') })
    const warnings = relay
      .stderr()
      .split('\n')
      .filter((each) => each.includes('configuration-ignored'))
      .map((each) => JSON.parse(each))
    expect(warnings).toEqual([
      expect.objectContaining({
        level: 'warn',
        keys: 'broker.id, num.partition (did you mean num-partitions?)',
        source: `in ${config}`,
      }),
    ])
  })

  test('a file that is not there', async () => {
    const { code, stderr } = await runOttla(['serve', '--config', '/nowhere.json'])
    expect(code).toBe(1)
    expect(stderr).toBe('ottla: /nowhere.json: no such file or folder\n')
  })
})
