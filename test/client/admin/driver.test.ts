/**
 * How admin calls find their broker, wait and give up: against a cluster of three that is a table, with time by hand.
 * Real clusters are in test/oracle/admin.oracle.ts.
 */
import { expect, test } from 'vitest'
import { type Admin, openAdmin } from '../../../client/admin/admin.ts'
import type { RequestOptions } from '../../../client/core.ts'
import { OttlaError } from '../../../client/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { eventually } from '../../support/eventually.ts'

interface Asked {
  name: string
  body: never
  broker: number
  options: RequestOptions
}

type Answer = (asked: Asked) => unknown

const brokerAt = (port: number) => ({ nodeId: port - 9000, host: 'broker', port })
/** Who leads partition n of a topic. */
let leaders = [1, 2, 3]

class Cluster {
  readonly clock = new HandClock()
  readonly asked: Array<[name: string, broker: number]> = []
  readonly admin: Admin
  brokerPorts = [9001, 9002, 9003]
  controllerId = 2
  coordinatorId = 3

  constructor(answer: Answer) {
    leaders = [1, 2, 3]
    this.admin = openAdmin(
      { request: (name, body, options) => this.#request(name, body, options ?? {}, answer) },
      this.clock,
    )
  }

  async #request(name: string, body: unknown, options: RequestOptions, answer: Answer): Promise<unknown> {
    const broker = options.broker ? options.broker.port - 9000 : 0
    this.asked.push([name, broker])
    if (name === 'Metadata') return this.#metadata(body as { topics: Array<{ name: string }> })
    if (name === 'FindCoordinator') {
      const { key } = body as { key: string }
      return { coordinators: [{ key, errorCode: 0, nodeId: this.coordinatorId, host: 'broker', port: 9003 }] }
    }
    return answer({ name, body: body as never, broker, options })
  }

  #metadata({ topics }: { topics: Array<{ name: string }> }) {
    return {
      brokers: this.brokerPorts.map(brokerAt),
      controllerId: this.controllerId,
      topics: topics.map(({ name }) => ({
        ...{ name, errorCode: 0 },
        partitions: leaders.map((leaderId, partitionIndex) => ({ partitionIndex, leaderId, errorCode: 0 })),
      })),
    }
  }

  /** Without the looking-up. */
  get calls() {
    return this.asked.filter(([name]) => name !== 'Metadata' && name !== 'FindCoordinator')
  }

  /** Moves time on while the call waits. */
  async after<T>(call: Promise<T>, stepMs = 50): Promise<T> {
    let isOver = false
    const end = () => {
      isOver = true
    }
    call.then(end, end)
    await eventually(
      () => {
        if (!isOver) this.clock.advance(stepMs)
        return isOver
      },
      { everyMs: 1 },
    )
    return call
  }
}

const queries = (count: number) =>
  Array.from({ length: count }, (_, partition) => ({ topic: 't', partition, spec: 'latest' as const }))

/** Answers ListOffsets as broker n of n partitions. */
const listOffsets: Answer = ({ body, broker }) => ({
  topics: (body as { topics: Array<{ name: string; partitions: Array<{ partitionIndex: number }> }> }).topics.map(
    ({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        errorCode: broker === 0 || leaders[partitionIndex] === broker ? 0 : 6,
        offset: 10 * broker + partitionIndex,
      })),
    }),
  ),
})

const created = ({ body }: Asked) => ({
  topics: (body as { topics: Array<{ name: string }> }).topics.map(({ name }) => ({ name, errorCode: 0 })),
})

test('[CAD-4] each partition is asked of its leader, in one request for each broker, answers in the order asked', async () => {
  const cluster = new Cluster(listOffsets)
  leaders = [3, 1, 3]
  const listed = await cluster.admin.listOffsets(queries(3))
  expect(listed.map(({ partition, offset }) => [partition, offset])).toEqual([
    [0, 30],
    [1, 11],
    [2, 32],
  ])
  expect(cluster.calls.sort()).toEqual([
    ['ListOffsets', 1],
    ['ListOffsets', 3],
  ])
})

test('[CAD-4] a group is asked of its coordinator, a change of the controller, a list of everybody', async () => {
  const cluster = new Cluster((asked) => {
    if (asked.name === 'ListGroups')
      return {
        errorCode: 0,
        groups: [{ groupId: `g${asked.broker}`, groupState: 'Empty', groupType: '', protocolType: '' }],
      }
    if (asked.name === 'DeleteGroups') return { results: [{ groupId: 'g', errorCode: 0 }] }
    return created(asked)
  })
  expect((await cluster.admin.listGroups()).map(({ groupId }) => groupId)).toEqual(['g1', 'g2', 'g3'])
  await cluster.admin.deleteConsumerGroups(['g'])
  await cluster.admin.createTopics([{ name: 't' }])
  expect(cluster.calls.slice(3)).toEqual([
    ['DeleteGroups', 3],
    ['CreateTopics', 2],
  ])
})

test('[CAD-4] with one broker nothing is routed: the connection that is there is used, whatever the broker calls itself', async () => {
  const cluster = new Cluster(listOffsets)
  cluster.brokerPorts = [9001]
  await cluster.admin.listOffsets(queries(2))
  await cluster.admin.listOffsets(queries(2))
  expect(cluster.asked).toEqual([
    ['Metadata', 0],
    ['ListOffsets', 0],
    ['ListOffsets', 0],
  ])
  await expect(cluster.admin.describeLogDirs({ brokers: [7] })).rejects.toMatchObject({ kafkaCode: 8 })
})

test('[CAD-4] one broker that does not coordinate yet is asked to, and then again', async () => {
  const cluster = new Cluster(() => {
    const isAsked = cluster.asked.some(([name]) => name === 'FindCoordinator')
    return { results: [{ groupId: 'g', errorCode: isAsked ? 0 : 16 }] }
  })
  cluster.brokerPorts = [9001]
  expect(await cluster.after(cluster.admin.deleteConsumerGroups(['g']))).toEqual(['g'])
  expect(cluster.calls).toEqual([
    ['DeleteGroups', 0],
    ['DeleteGroups', 0],
  ])
})

test('[CAD-4] a leader that has moved is found again, and only its partitions are asked again', async () => {
  let answered = 0
  const cluster = new Cluster((asked) => {
    const answer = listOffsets(asked)
    if (++answered === 2) leaders = [1, 1, 2]
    return answer
  })
  const call = cluster.admin.listOffsets(queries(3))
  leaders = [1, 2, 3]
  const listed = await cluster.after(call)
  expect(listed.map(({ partition, offset }) => [partition, offset])).toEqual([
    [0, 10],
    [1, 21],
    [2, 22],
  ])
  expect(cluster.calls.at(-1)).toEqual(['ListOffsets', 2])
  expect(cluster.calls).toHaveLength(4)
})

test('[CAD-4] a broker that cannot be reached is asked for again when that changes nothing', async () => {
  let failures = 0
  const cluster = new Cluster((asked) => {
    if (asked.broker === 2 && failures++ === 0) throw new OttlaError('DISCONNECTED', { message: 'gone' })
    return listOffsets(asked)
  })
  expect(await cluster.after(cluster.admin.listOffsets(queries(3)))).toHaveLength(3)
})

test('[CAD-5] a change whose answer is lost is not made again', async () => {
  const cluster = new Cluster(({ options }) => {
    expect(options.isChange).toBe(true)
    throw new OttlaError('DISCONNECTED', { message: 'gone' })
  })
  await expect(cluster.admin.createTopics([{ name: 't' }])).rejects.toMatchObject({ code: 'DISCONNECTED' })
  expect(cluster.calls).toEqual([['CreateTopics', 2]])
})

test('[CAD-5] a change that was refused because the controller has moved is made there', async () => {
  const cluster = new Cluster((asked) => {
    if (asked.broker === 1) return created(asked)
    cluster.controllerId = 1
    return { topics: [{ name: 't', errorCode: 41 }] }
  })
  expect(await cluster.after(cluster.admin.createTopics([{ name: 't' }]))).toMatchObject([{ name: 't', isNew: true }])
})

test('[CAD-3] a call whose coordinator does not come up ends with its time, and says what it waited for', async () => {
  const cluster = new Cluster(() => ({ results: [{ groupId: 'g', errorCode: 14 }] }))
  const began = cluster.clock.monotonic()
  const call = cluster.admin.deleteConsumerGroups(['g'], { timeoutMs: 5_000 })
  await expect(cluster.after(call)).rejects.toMatchObject({
    code: 'RELAY',
    kafkaCode: 14,
    message: expect.stringContaining('COORDINATOR_LOAD_IN_PROGRESS'),
  })
  expect(cluster.clock.monotonic() - began).toBeLessThanOrEqual(5_000)
  expect(cluster.calls.length).toBeGreaterThan(5)
})

test('[CAD-3] what is left of the time is what a request gets', async () => {
  const given: unknown[] = []
  const cluster = new Cluster((asked) => {
    given.push([asked.options.timeoutMs, (asked.body as { timeoutMs: number }).timeoutMs])
    return created(asked)
  })
  await cluster.admin.createTopics([{ name: 't' }], { timeoutMs: 2_000 })
  expect(given).toEqual([[3_000, 2_000]])
})

test('[CAD-3] a signal ends a call that waits for an answer, or between two attempts', async () => {
  const silent = new Cluster(() => new Promise(() => {}))
  const first = new AbortController()
  const waiting = silent.admin.listOffsets(queries(1), { signal: first.signal })
  await eventually(() => silent.calls.length === 1)
  first.abort()
  await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
  const loading = new Cluster(() => ({ results: [{ groupId: 'g', errorCode: 15 }] }))
  const second = new AbortController()
  const pausing = loading.admin.deleteConsumerGroups(['g'], { signal: second.signal })
  await eventually(() => loading.calls.length === 1)
  second.abort()
  await expect(pausing).rejects.toMatchObject({ code: 'ABORTED' })
  expect(loading.calls).toHaveLength(1)
})

test('[CAD-8] a broker that asks for patience is left alone for that long', async () => {
  const at: number[] = []
  const cluster = new Cluster((asked) => {
    at.push(cluster.clock.monotonic())
    return { ...created(asked), throttleTimeMs: at.length === 1 ? 700 : 0 }
  })
  await cluster.admin.createTopics([{ name: 'a' }])
  await cluster.after(cluster.admin.createTopics([{ name: 'b' }]), 100)
  expect(at[1]! - at[0]!).toBe(700)
})

test('[CAD-2] an entry that an answer leaves out is an error of that entry', async () => {
  const cluster = new Cluster(() => ({ topics: [{ name: 'a', errorCode: 0 }] }))
  const outcomes = await cluster.admin.createTopics([{ name: 'a' }, { name: 'b' }]).settled()
  expect(outcomes.map(({ error }) => error?.code)).toEqual([undefined, 'PROTOCOL'])
})
