/** Fan-out to 1,000 WebSocket subscribers, beside NATS core; one durable publisher to one subscriber, beside JetStream. */
import { load } from '../harness/load-client.ts'
import type { Aim, Column, Contender, Scenario, Trial } from '../harness/scenario.ts'
import { type Server, startNats, startRelay, withServer } from '../harness/servers.ts'

/** Every sixteenth subscriber reads the stamp of every record. The others check offsets only, alike for all contenders. */
const SAMPLE = 16

const columns: Column[] = [
  { metric: 'deliveriesPerS', title: 'deliveries/s', digits: 0 },
  { metric: 'serverCpuPerM', title: 'server CPU-s per million', digits: 4 },
  { metric: 'serverCores', title: 'server cores', digits: 2 },
  { metric: 'p50Ms', title: 'p50 ms', digits: 2 },
  { metric: 'p99Ms', title: 'p99 ms', digits: 2 },
  { metric: 'clientCores', title: 'client cores', digits: 2 },
  { metric: 'othersCores', title: "others' cores", digits: 2 },
  { metric: 'undelivered', title: 'undelivered', digits: 0 },
]

interface Shape {
  protocol: 'ottla' | 'nats' | 'jetstream'
  start(directory: string): Promise<Server>
}

const relay: Shape = { protocol: 'ottla', start: (directory) => startRelay(directory) }
const natsCore: Shape = { protocol: 'nats', start: (directory) => startNats(directory) }
const jetStream: Shape = { protocol: 'jetstream', start: (directory) => startNats(directory, { jetstream: true }) }

function contender(name: string, shape: Shape, options: Record<string, number>): Contender {
  const run = (trial: Trial) =>
    withServer(shape.start(trial.directory), (server) =>
      load('fan', {
        protocol: shape.protocol,
        port: server.port,
        'server-pid': server.pid,
        'warm-ms': trial.quick ? 300 : 1_000,
        'duration-ms': trial.quick ? 700 : 2_500,
        ...options,
      }),
    )
  return { name, run }
}

const cpuAim = (text: string, atMost: number): Aim => ({
  text,
  metric: 'serverCpuPerM',
  of: 'Ottla',
  to: 'NATS core',
  atMost,
})

function fanOut(name: string, title: string, method: string, load: Record<string, number>, aims: Aim[]): Scenario {
  const options = { subscribers: 1_000, size: 100, sample: SAMPLE, ...load }
  return {
    name,
    title,
    method,
    columns,
    aims,
    contenders: [contender('Ottla', relay, options), contender('NATS core', natsCore, options)],
  }
}

const openLoop =
  'Open loop: a record counts as sent at the instant it was due. Ottla appends, fsyncs and numbers every record before it delivers it; NATS core keeps nothing.'

export const fanOutScenarios: Scenario[] = [
  fanOut(
    'fan-out-sat',
    'Fan-out, saturated: 1,000 subscribers, 100 B',
    'Closed loop: the publisher is at most 256 records ahead of the mean subscriber, so that nothing is dropped and batches are bounded alike. Ottla appends, fsyncs and numbers every record before it delivers it; NATS core keeps nothing.',
    { window: 256 },
    [
      cpuAim('CPU per delivery at most 0.10 of NATS core', 0.1),
      {
        text: 'deliveries/s at least 5 times NATS core',
        metric: 'deliveriesPerS',
        of: 'Ottla',
        to: 'NATS core',
        atLeast: 5,
      },
    ],
  ),
  fanOut('fan-out-1000', 'Fan-out at 1,000 records/s: 1,000 subscribers, 100 B', openLoop, { rate: 1_000 }, [
    cpuAim('CPU per delivery at most 0.30 of NATS core', 0.3),
    { text: 'p99 below that of NATS core', metric: 'p99Ms', of: 'Ottla', to: 'NATS core', below: 1 },
  ]),
  fanOut('fan-out-100', 'Fan-out at 100 records/s: 1,000 subscribers, 100 B', openLoop, { rate: 100 }, [
    cpuAim('CPU per delivery at most 0.5 of NATS core', 0.5),
  ]),
]

const pair = { subscribers: 1, size: 100, sample: 1, window: 1_024 }

export const durableStream: Scenario = {
  name: 'durable-stream',
  title: 'One durable publisher to one subscriber, 100 B',
  method:
    'Closed loop, at most 1,024 records ahead of the subscriber, over WebSocket. JetStream: file storage, asynchronous publishes with acknowledgements, one ephemeral push consumer without acks; by default it syncs every two minutes. Ottla: fsync before acknowledgement and before delivery. NATS core, which keeps nothing, for scale.',
  columns: [...columns, { metric: 'ackP99Ms', title: 'ack p99 ms', digits: 2 }],
  contenders: [
    contender('Ottla', relay, pair),
    contender('JetStream', jetStream, pair),
    contender('NATS core', natsCore, pair),
  ],
  aims: [
    {
      text: 'records/s at least 4 times JetStream',
      metric: 'deliveriesPerS',
      of: 'Ottla',
      to: 'JetStream',
      atLeast: 4,
    },
  ],
}
