/** `ottla serve` as a process: the ready line, stopping, one relay per folder and port, configuration. */

import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { endAll, runOttla, startOttla, startRelay, temporaryFolder } from '../support/ottla-process.ts'

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
    expect(stderr).toBe(`ottla: port ${port} is already in use; choose another --http-port, or 0 for a free one\n`)
    await startRelay(['--data', data])
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
