/** Members of both protocols in one group: a group goes from one to the other while its members read on. */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../../protocol/errors.ts'
import { HandClock } from '../../../../protocol/lib/clock.ts'
import { eachOf, NO_PARTITIONS, type Partitions } from '../../../../server/coordinator/consumer/partitions.ts'
import type { GroupCoordinator } from '../../../../server/coordinator/runtime.ts'
import { MemoryFiles } from '../../../../server/storage/memory-files.ts'
import { codeOf, committed, joinRequest, offsetOf, openCoordinator, stays } from '../coordinator-fixture.ts'
import { bytes } from '../group-driver.ts'
import { ClassicClient, type ClassicOptions } from './classic-client.ts'
import { type Beat, consumerBeat } from './consumer-beat.ts'
import { Topics } from './consumer-driver.ts'

const PARTITIONS = 4
const SESSION_MS = 10_000

interface Setting {
  coordinator: GroupCoordinator
  clock: HandClock
  files: MemoryFiles
}

async function open(config: Parameters<typeof openCoordinator>[0] = {}, files = new MemoryFiles()): Promise<Setting> {
  const clock = new HandClock()
  const coordinator = await openCoordinator({ files, clock, catalog: new Topics({ t: PARTITIONS }), ...config })
  return { coordinator, clock, files }
}

/** A member of the next protocol that does what it is told. */
class NextClient {
  epoch = 0
  owned: Partitions = NO_PARTITIONS
  readonly #coordinator: GroupCoordinator
  readonly name: string
  readonly #fields: Beat

  constructor(coordinator: GroupCoordinator, name: string, fields: Beat = {}) {
    this.#coordinator = coordinator
    this.name = name
    this.#fields = fields
  }

  async beat(): Promise<void> {
    const joining = this.epoch === 0 ? { subscribedNames: ['t'], rebalanceTimeoutMs: SESSION_MS } : {}
    const said = { memberEpoch: this.epoch, owned: this.owned, ...joining, ...this.#fields }
    const reply = await consumerBeat(this.#coordinator, this.name, said)
    this.epoch = reply.memberEpoch
    if (reply.assignment) this.owned = reply.assignment
  }

  leave(memberEpoch = -1) {
    const { instanceId = null } = this.#fields
    return this.#coordinator.consumerLeave('g', { memberId: this.name, memberEpoch, instanceId })
  }

  get partitions(): number[] {
    return [...eachOf(this.owned)].map(([, partition]) => partition)
  }
}

async function stableClassic(coordinator: GroupCoordinator, count: number, options: ClassicOptions = {}) {
  const members = Array.from({ length: count }, () => new ClassicClient(coordinator, options))
  const ids = await Promise.all(members.map((member) => member.join()))
  expect(ids.every(({ errorCode }) => errorCode === ErrorCode.MEMBER_ID_REQUIRED)).toBe(true)
  const joined = await Promise.all(members.map((member) => member.join()))
  const codes = await Promise.all(members.map((member, index) => member.sync(joined[index]!)))
  expect(codes).toEqual(members.map(() => 0))
  return members
}

const typeOf = (coordinator: GroupCoordinator) => coordinator.group('g')!.machine.type
const all = (...lists: ReadonlyArray<readonly number[]>) => lists.flat().sort()
const everything = [0, 1, 2, 3]

describe('[GRP-45] a group with members goes on with the next protocol when the first member of that comes', () => {
  test.each([
    ['cooperative', false],
    ['eager', true],
  ])('%s members keep their places, let go, and share with the newcomer', async (_what, isEager) => {
    const { coordinator } = await open()
    const [a, b] = await stableClassic(coordinator, 2, { isEager })
    const next = new NextClient(coordinator, 'next')
    await next.beat()
    expect(typeOf(coordinator)).toBe('consumer')
    expect(next.partitions).toEqual([])
    for (const member of [a!, b!]) expect(member.heartbeat()).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    await next.beat()
    expect(next.partitions).toEqual([])
    for (const member of [a!, b!]) expect(await member.round()).toBe(0)
    for (const member of [a!, b!]) expect(member.heartbeat()).toBe(0)
    await next.beat()
    expect(next.partitions.length).toBeGreaterThan(0)
    expect(all(a!.owned, b!.owned, next.partitions)).toEqual(everything)
    expect(coordinator.group('g')!.machine.phase).toBe('Stable')
    const claim = { ...a!.claim }
    expect(await codeOf(() => coordinator.commit('g', claim, [offsetOf(0, 1)]))).toBe(0)
    const old = { ...claim, generationId: claim.generationId - 1 }
    expect(await codeOf(() => coordinator.commit('g', old, [offsetOf(0, 1)]))).toBe(ErrorCode.ILLEGAL_GENERATION)
  })

  test('who waits for the others in the classic group is told to join again', async () => {
    const { coordinator } = await open()
    const [a, b] = await stableClassic(coordinator, 2)
    const waiting = a!.join()
    const next = new NextClient(coordinator, 'next')
    await next.beat()
    expect((await waiting).errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    expect(await a!.round()).toBe(0)
    expect(await b!.round()).toBe(0)
    await next.beat()
    expect(all(a!.owned, b!.owned, next.partitions)).toEqual(everything)
  })

  test('a classic member also joins a group that was of the next protocol from the beginning', async () => {
    const { coordinator } = await open()
    const next = new NextClient(coordinator, 'next')
    await next.beat()
    const late = new ClassicClient(coordinator)
    expect(await late.round()).toBe(0)
    expect(late.owned).toEqual([])
    await next.beat()
    await next.beat()
    expect(late.heartbeat()).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    expect(await late.round()).toBe(0)
    expect(late.owned).toHaveLength(2)
    expect(all(late.owned, next.partitions)).toEqual(everything)
    expect(late.leave()).toEqual([0])
    await next.beat()
    expect(next.partitions).toEqual(everything)
  })

  test('the state survives a restart half-way', async () => {
    const { coordinator, files } = await open()
    const [a] = await stableClassic(coordinator, 1)
    const next = new NextClient(coordinator, 'next')
    await next.beat()
    await coordinator.close()
    const again = await open({}, files)
    expect(typeOf(again.coordinator)).toBe('consumer')
    const moved = Object.assign(new ClassicClient(again.coordinator), {
      ...{ memberId: a!.memberId, generationId: a!.generationId, owned: a!.owned },
    })
    expect(moved.heartbeat()).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    expect(await moved.round()).toBe(0)
    const back = Object.assign(new NextClient(again.coordinator, 'next'), { epoch: next.epoch })
    await back.beat()
    expect(all(moved.owned, back.partitions)).toEqual(everything)
    await again.clock.advanceAsync(SESSION_MS)
    expect(moved.heartbeat()).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  test('who does not join again, or not ask for its part, within its rebalance timeout is out', async () => {
    const { coordinator, clock } = await open()
    const [a, b] = await stableClassic(coordinator, 2)
    const next = new NextClient(coordinator, 'next')
    await next.beat()
    // One goes on as if nothing had happened, the other stops after its join.
    a!.heartbeat()
    await b!.join()
    await clock.advanceAsync(SESSION_MS - 1)
    for (const member of [a!, b!]) member.heartbeat()
    await next.beat()
    await clock.advanceAsync(1)
    for (const member of [a!, b!]) expect(member.heartbeat()).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    await next.beat()
    expect(next.partitions).toEqual(everything)
  })

  test('a group of other members than consumers, or of unreadable ones, stays what it is', async () => {
    const { coordinator } = await open()
    const connect = joinRequest({ protocolType: 'connect', groupInstanceId: 'i' })
    await coordinator.join('g', connect, stays)
    expect(await codeOf(() => new NextClient(coordinator, 'next').beat())).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    expect(typeOf(coordinator)).toBe('classic')
    const unreadable = joinRequest({ protocols: [{ name: 'range', metadata: bytes('x') }], groupInstanceId: 'i' })
    const other = await openCoordinator()
    await other.join('g', unreadable, stays)
    expect(await codeOf(() => new NextClient(other, 'next').beat())).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
  })

  test('and so does one with more members than a group of the next protocol may have', async () => {
    const { coordinator } = await open({ config: { groupConsumerMaxSize: 1 } })
    await stableClassic(coordinator, 2)
    expect(await codeOf(() => new NextClient(coordinator, 'next').beat())).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    expect(typeOf(coordinator)).toBe('classic')
  })

  test('classic members of a group share a protocol, and are told from others', async () => {
    const { coordinator } = await open()
    await new NextClient(coordinator, 'next').beat()
    await new ClassicClient(coordinator).round()
    expect(await new ClassicClient(coordinator, { isEager: true }).round()).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    const impostor = Object.assign(new ClassicClient(coordinator), { memberId: 'next', generationId: 2 })
    expect((await impostor.join()).errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(impostor.heartbeat()).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(impostor.leave()).toEqual([ErrorCode.UNKNOWN_MEMBER_ID])
  })
})

describe('[GRP-46] and back with the classic one when the last of them goes', () => {
  async function mixed(config: Parameters<typeof openCoordinator>[0] = {}) {
    const setting = await open(config)
    const [a, b] = await stableClassic(setting.coordinator, 2)
    const next = new NextClient(setting.coordinator, 'next')
    await next.beat()
    for (const member of [a!, b!]) await member.round()
    await next.beat()
    return { ...setting, a: a!, b: b!, next }
  }

  test('members keep their places and agree anew among themselves', async () => {
    const { coordinator, files, a, b, next } = await mixed()
    await coordinator.commit('g', { ...a.claim }, [offsetOf(0, 7)])
    await next.leave()
    expect(coordinator.group('g')!.machine).toMatchObject({ type: 'classic', phase: 'PreparingRebalance' })
    for (const member of [a, b]) expect(member.heartbeat()).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    const joined = await Promise.all([a.join(), b.join()])
    const codes = await Promise.all([a.sync(joined[0]), b.sync(joined[1])])
    expect(codes).toEqual([0, 0])
    expect(all(a.owned, b.owned)).toEqual(everything)
    expect(await committed(coordinator)).toEqual({ 'T/0': 7 })
    await coordinator.close()
    const again = await open({}, files)
    expect(again.coordinator.group('g')!.machine).toMatchObject({ type: 'classic', phase: 'Stable' })
    expect(again.coordinator.heartbeat('g', a.claim)).toBe(0)
  })

  test('also when it falls silent', async () => {
    const { coordinator, clock, a, b } = await mixed()
    for (let passedMs = 0; passedMs <= 45_000; passedMs += 5000) {
      await clock.advanceAsync(5000)
      for (const member of [a, b]) member.heartbeat()
    }
    expect(typeOf(coordinator)).toBe('classic')
  })

  test.each([
    ['upgrade', 'consumer'],
    ['disabled', 'consumer'],
    ['downgrade', 'classic'],
  ] as const)('the policy says whether: %s', async (groupConsumerMigrationPolicy, type) => {
    const { coordinator } = await open({ config: { groupConsumerMigrationPolicy } })
    const next = new NextClient(coordinator, 'next')
    await next.beat()
    const late = new ClassicClient(coordinator)
    await late.round()
    await next.leave()
    expect(typeOf(coordinator)).toBe(type)
    expect(late.heartbeat()).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    expect(await late.round()).toBe(0)
    expect(late.owned).toEqual(everything)
  })

  test('a static member changes its protocol and keeps its place', async () => {
    const { coordinator } = await open()
    const [old] = await stableClassic(coordinator, 1)
    const phone = new ClassicClient(coordinator, { instanceId: 'phone' })
    const joining = phone.join()
    const codes = await Promise.all([old!.sync(await old!.join()), phone.sync(await joining)])
    expect(codes).toEqual([0, 0])
    const had = phone.owned
    // Its next process speaks the next protocol, and takes over though the old one said nothing.
    const next = new NextClient(coordinator, 'next', { instanceId: 'phone' })
    await next.beat()
    expect(next.partitions).toEqual(had)
    expect(phone.heartbeat()).toBe(ErrorCode.FENCED_INSTANCE_ID)
    // And the one after that the classic one again, with which the group is classic again.
    const back = new ClassicClient(coordinator, { instanceId: 'phone' })
    const rejoined = await back.join()
    expect(rejoined.errorCode).toBe(0)
    expect(await codeOf(() => next.beat())).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    expect(typeOf(coordinator)).toBe('classic')
  })
})
