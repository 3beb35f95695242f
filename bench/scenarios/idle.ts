/** Memory of a relay without work, and of each idle subscriber. */
import { setTimeout as pause } from 'node:timers/promises'
import { parseReport, startLoad } from '../harness/load-client.ts'
import { residentKib } from '../harness/machine.ts'
import type { Contender, Metrics, Scenario, Trial } from '../harness/scenario.ts'
import { type Server, startNats, startRelay, withServer } from '../harness/servers.ts'

const SETTLE_MS = 1_500

async function measure(server: Server, protocol: string, trial: Trial): Promise<Metrics> {
  const subscribers = trial.quick ? 1_000 : 5_000
  await pause(SETTLE_MS)
  const idleMib = residentKib(server.pid) / 1_024
  const child = startLoad('idle', { protocol, port: server.port, 'server-pid': server.pid, subscribers })
  try {
    await child.line((line) => line.includes('"created"'), 10_000)
    await pause(SETTLE_MS)
    const before = residentKib(server.pid)
    child.write('go\n')
    const opened = parseReport(await child.line((line) => line.includes('"idle"'), 90_000))
    await pause(SETTLE_MS)
    const after = residentKib(server.pid)
    return {
      idleMib,
      totalMib: after / 1_024,
      kibPerSubscriber: (after - before) / subscribers,
      serverCpuUsPerConnection: opened.serverCpuUsPerConnection ?? Number.NaN,
    }
  } finally {
    child.endInput()
    await child.ended(20_000)
  }
}

const contenders: Contender[] = [
  {
    name: 'Ottla',
    run: (trial) => withServer(startRelay(trial.directory), (server) => measure(server, 'ottla', trial)),
  },
  {
    name: 'NATS core',
    run: (trial) => withServer(startNats(trial.directory), (server) => measure(server, 'nats', trial)),
  },
]

export const idleMemory: Scenario = {
  name: 'idle-memory',
  title: 'Memory: the idle relay, and 5,000 idle subscribers',
  method:
    'Resident memory of the server process 1.5 s after start, before and 1.5 s after the subscribers connect; kernel socket buffers are extra and alike.',
  columns: [
    { metric: 'idleMib', title: 'idle MiB', digits: 1 },
    { metric: 'kibPerSubscriber', title: 'KiB per subscriber', digits: 2 },
    { metric: 'totalMib', title: 'MiB with subscribers', digits: 1 },
    { metric: 'serverCpuUsPerConnection', title: 'server CPU us per connect and subscribe', digits: 0 },
  ],
  contenders,
  aims: [
    {
      text: 'under 15 KiB per idle subscriber',
      metric: 'kibPerSubscriber',
      of: 'Ottla',
      unit: 'KiB',
      below: 15,
    },
    { text: 'idle relay under 90 MiB', metric: 'idleMib', of: 'Ottla', unit: 'MiB', below: 90 },
  ],
}
