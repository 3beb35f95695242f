/** A transactional id as a state machine: every state, every request, every relation of identities. */
import { describe, expect, test } from 'vitest'
import { ErrorCode, errorName } from '../../../protocol/errors.ts'
import {
  PRODUCER_EPOCH_MAX,
  TRANSACTION_PHASES,
  type TransactionPhase,
} from '../../../server/coordinator/transactions/transaction-state.ts'
import {
  TRANSACTION_MEMBERS_MAX,
  TransactionalProducer,
} from '../../../server/coordinator/transactions/transactional-producer.ts'
import {
  at,
  FRESH_ID,
  identityOf,
  NOW,
  PARTITION,
  producerIn,
  TIMEOUT_MS,
  type Version,
  WHO,
  type Who,
} from './producer-driver.ts'

type Request = 'init' | 'init as' | 'add' | 'verify' | 'commit' | 'abort' | 'commit v2' | 'abort v2'
const REQUESTS: readonly Request[] = ['init', 'init as', 'add', 'verify', 'commit', 'abort', 'commit v2', 'abort v2']

/** What it says, in a word: an outcome, or the name of an error. */
function ask(producer: TransactionalProducer, request: Request, who: Who): string {
  const identity = identityOf(producer, who)
  const named = (errorCode: number) => (errorCode === ErrorCode.NONE ? 'ok' : errorName(errorCode))
  const freshProducerId = undefined
  const inWord = (outcome: { kind: string; errorCode?: number; isChanged?: boolean }) =>
    outcome.kind === 'refused' ? errorName(outcome.errorCode!) : outcome.isChanged === false ? 'same' : outcome.kind
  switch (request) {
    case 'init':
      return inWord(producer.init({ timeoutMs: 5000, expected: null, freshProducerId }, NOW))
    case 'init as':
      return inWord(producer.init({ timeoutMs: 5000, expected: identity, freshProducerId }, NOW))
    case 'add':
      return named(producer.add(identity, { partitions: [{ topicId: 'T', partition: 1 }] }, NOW).errorCode)
    case 'verify':
      return named(producer.verify(identity, { partition: PARTITION }))
    default: {
      const outcome = request.startsWith('commit') ? 'commit' : 'abort'
      const changesIdentity = request.endsWith('v2')
      return inWord(producer.end({ identity, outcome, changesIdentity, freshProducerId }, NOW))
    }
  }
}

/** For those who may speak: what they get, by state and request. Everybody else is fenced. */
const CURRENT: Record<Exclude<TransactionPhase, 'Dead'>, Record<Request, string>> = {
  Empty: {
    ...{ init: 'ready', 'init as': 'ready', add: 'ok', verify: 'INVALID_TXN_STATE' },
    ...{ commit: 'INVALID_TXN_STATE', abort: 'INVALID_TXN_STATE' },
    ...{ 'commit v2': 'INVALID_TXN_STATE', 'abort v2': 'decided' },
  },
  Ongoing: {
    ...{ init: 'aborting', 'init as': 'aborting', add: 'ok', verify: 'ok' },
    ...{ commit: 'decided', abort: 'decided', 'commit v2': 'decided', 'abort v2': 'decided' },
  },
  PrepareCommit: {
    ...{ init: 'CONCURRENT_TRANSACTIONS', 'init as': 'CONCURRENT_TRANSACTIONS' },
    ...{ add: 'CONCURRENT_TRANSACTIONS', verify: 'CONCURRENT_TRANSACTIONS' },
    ...{ commit: 'repeated', abort: 'INVALID_TXN_STATE' },
    ...{ 'commit v2': 'CONCURRENT_TRANSACTIONS', 'abort v2': 'CONCURRENT_TRANSACTIONS' },
  },
  PrepareAbort: {
    ...{ init: 'CONCURRENT_TRANSACTIONS', 'init as': 'CONCURRENT_TRANSACTIONS' },
    ...{ add: 'CONCURRENT_TRANSACTIONS', verify: 'CONCURRENT_TRANSACTIONS' },
    ...{ commit: 'INVALID_TXN_STATE', abort: 'repeated' },
    ...{ 'commit v2': 'CONCURRENT_TRANSACTIONS', 'abort v2': 'CONCURRENT_TRANSACTIONS' },
  },
  CompleteCommit: {
    ...{ init: 'ready', 'init as': 'ready', add: 'ok', verify: 'INVALID_TXN_STATE' },
    ...{ commit: 'repeated', abort: 'INVALID_TXN_STATE' },
    ...{ 'commit v2': 'INVALID_TXN_STATE', 'abort v2': 'decided' },
  },
  CompleteAbort: {
    ...{ init: 'ready', 'init as': 'ready', add: 'ok', verify: 'INVALID_TXN_STATE' },
    ...{ commit: 'INVALID_TXN_STATE', abort: 'repeated' },
    ...{ 'commit v2': 'INVALID_TXN_STATE', 'abort v2': 'decided' },
  },
}

/** Who was current before may repeat the request that changed this, and nothing else, until its successor acts. */
function expectedOfPrevious(phase: TransactionPhase, version: Version, request: Request): string {
  const hasSuccessorActed = phase === 'Ongoing' || (version === 1 && phase !== 'Empty')
  if (hasSuccessorActed) return 'PRODUCER_FENCED'
  if (request === 'init as') return phase.startsWith('Prepare') ? 'CONCURRENT_TRANSACTIONS' : 'same'
  if (phase === 'Empty' || !request.endsWith('v2')) return 'PRODUCER_FENCED'
  return phase.endsWith(request.startsWith('commit') ? 'Commit' : 'Abort') ? 'repeated' : 'INVALID_TXN_STATE'
}

describe('[TXN-1] only the current identity acts; any other changes nothing, in any state', () => {
  const phases = TRANSACTION_PHASES.filter((phase) => phase !== 'Dead')
  const cases = phases.flatMap((phase) => ([1, 2] as const).map((version) => [phase, version] as const))

  test.each(cases)('%s, reached by version %i', (phase, version) => {
    for (const request of REQUESTS) {
      for (const who of request === 'init' ? (['current'] as const) : WHO) {
        const producer = producerIn(phase, version)
        const before = producer.snapshot()
        const said = ask(producer, request, who)
        const what = `${request} by ${who}`
        if (who === 'current') expect(said, what).toBe(CURRENT[phase][request])
        else if (who === 'previous') expect(said, what).toBe(expectedOfPrevious(phase, version, request))
        else if (who === 'another id' && request !== 'init as') expect(said, what).toBe('INVALID_PRODUCER_ID_MAPPING')
        else expect(said, what).toBe('PRODUCER_FENCED')
        const hasActed = ['ready', 'aborting', 'decided'].includes(said) || (request === 'add' && said === 'ok')
        if (hasActed) expect(producer.snapshot(), what).not.toEqual(before)
        else expect(producer.snapshot(), what).toEqual(before)
      }
    }
  })

  test('an id that was forgotten knows nobody', () => {
    for (const request of ['add', 'verify', 'commit', 'abort v2'] as const)
      expect(ask(producerIn('Dead', 2), request, 'current')).toBe('INVALID_PRODUCER_ID_MAPPING')
  })
})

describe('[TXN-2] no identity is given out twice', () => {
  test('over 80,000 transactions and initialisations of every kind, with epochs that run out', () => {
    let fresh = FRESH_ID
    const producer = new TransactionalProducer('tx', 7, TIMEOUT_MS, at(0))
    const seen = new Set<string>()
    const note = () => {
      const { producerId, producerEpoch } = producer.identity
      const key = `${producerId}/${producerEpoch}`
      if (producerEpoch > PRODUCER_EPOCH_MAX || seen.has(key)) throw new Error(key)
      seen.add(key)
    }
    note()
    const settle = () => producer.phase.startsWith('Prepare') && producer.complete(NOW)
    for (let round = 0; round < 80_000; round++) {
      const kind = (round * 7919) % 5
      const act = (freshProducerId: number | undefined) => {
        const { identity } = producer
        if (kind < 3) {
          producer.add(identity, { partitions: [PARTITION] }, NOW)
          const outcome = kind === 0 ? 'abort' : 'commit'
          return producer.end({ identity, outcome, changesIdentity: true, freshProducerId }, NOW)
        }
        return producer.init({ timeoutMs: 1, expected: kind === 3 ? identity : null, freshProducerId }, NOW)
      }
      if (act(undefined).kind === 'needs-producer-id') act(fresh++)
      settle()
      note()
    }
    expect(fresh).toBe(FRESH_ID + 2)
    expect(seen.size).toBe(80_001)
  })

  test('an abort that the producer did not ask for fences it, at the last epoch too', () => {
    const producer = producerIn('Ongoing', 2)
    const old = producer.identity
    expect(producer.expire(at(TIMEOUT_MS - 1))).toBe(false)
    expect(producer.expire(at(TIMEOUT_MS))).toBe(true)
    expect(producer.ending).toEqual({ identity: { ...old, producerEpoch: old.producerEpoch + 1 }, outcome: 'abort' })
    expect(ask(producer, 'commit v2', 'older epoch')).toBe('PRODUCER_FENCED')
    const last = exhausted()
    last.add(last.identity, { partitions: [PARTITION] }, NOW)
    last.expire(at(1000 + TIMEOUT_MS))
    expect(last.ending!.identity.producerEpoch).toBe(PRODUCER_EPOCH_MAX + 1)
    last.complete(NOW)
    expect(last.init({ timeoutMs: 1, expected: null, freshProducerId: undefined }, NOW).kind).toBe('needs-producer-id')
    expect(last.init({ timeoutMs: 1, expected: null, freshProducerId: FRESH_ID }, NOW).kind).toBe('ready')
    expect(last.identity).toEqual({ producerId: FRESH_ID, producerEpoch: 0 })
  })
})

/** Empty, at the last epoch that is given out. */
function exhausted(): TransactionalProducer {
  const identity = { producerId: 7, producerEpoch: PRODUCER_EPOCH_MAX }
  const snapshot = { ...producerIn('Empty', 2).snapshot(), identity, previous: null }
  return TransactionalProducer.restore('tx', snapshot, NOW)
}

describe('[TXN-3] the epoch rises with every end of version 2, and with none of version 1', () => {
  test('markers carry the raised epoch, and the old one is fenced', () => {
    const producer = producerIn('Ongoing', 2)
    const { producerId, producerEpoch } = producer.identity
    expect(ask(producer, 'commit v2', 'current')).toBe('decided')
    expect(producer.identity).toEqual({ producerId, producerEpoch: producerEpoch + 1 })
    expect(producer.ending).toEqual({ identity: producer.identity, outcome: 'commit' })
  })

  test('version 1 goes on with its epoch', () => {
    const producer = producerIn('Ongoing', 1)
    const { identity } = producer
    expect(ask(producer, 'commit', 'current')).toBe('decided')
    expect(producer.identity).toEqual(identity)
    expect(producer.ending).toEqual({ identity, outcome: 'commit' })
  })

  test('when epochs run out, a new producer id follows; the marker closes the old one; a repeat is told the new one', () => {
    const producer = exhausted()
    const old = producer.identity
    producer.add(old, { partitions: [PARTITION] }, NOW)
    const end = { identity: old, outcome: 'commit', changesIdentity: true } as const
    expect(producer.end({ ...end, freshProducerId: undefined }, NOW).kind).toBe('needs-producer-id')
    expect(producer.phase).toBe('Ongoing')
    expect(producer.end({ ...end, freshProducerId: FRESH_ID }, NOW).kind).toBe('decided')
    expect(producer.identity).toEqual({ producerId: FRESH_ID, producerEpoch: 0 })
    expect(producer.ending!.identity).toEqual({ producerId: 7, producerEpoch: PRODUCER_EPOCH_MAX + 1 })
    expect(producer.end({ ...end, freshProducerId: undefined }, NOW).kind).toBe('repeated')
    producer.complete(NOW)
    expect(producer.end({ ...end, freshProducerId: undefined }, NOW).kind).toBe('repeated')
    producer.add(producer.identity, { partitions: [PARTITION] }, NOW)
    expect(producer.end({ ...end, freshProducerId: undefined }, NOW)).toMatchObject({ kind: 'refused' })
    expect(producer.phase).toBe('Ongoing')
  })

  test('a client of version 2 whose writes were all lost may abort what never began', () => {
    const producer = producerIn('CompleteCommit', 2)
    expect(ask(producer, 'abort v2', 'current')).toBe('decided')
    expect([...producer.partitions, ...producer.groups]).toEqual([])
    producer.complete(NOW)
    expect(producer.phase).toBe('CompleteAbort')
  })
})

describe('[TXN-4] an initialisation can be repeated, and comes too late once its sender has begun', () => {
  test('whoever knew the last identity gets the same answer again', () => {
    const producer = producerIn('Empty', 1)
    const { identity } = producer
    expect(ask(producer, 'init as', 'previous')).toBe('same')
    expect(producer.identity).toEqual(identity)
    expect(ask(producer, 'init', 'current')).toBe('ready')
    expect(producer.snapshot().previous).toBeNull()
  })

  test('a producer that has itself aborted by it goes on with the identity that the marker carries', () => {
    const producer = producerIn('Ongoing', 1)
    const old = producer.identity
    expect(ask(producer, 'init as', 'current')).toBe('aborting')
    const { identity } = producer.ending!
    producer.complete(NOW)
    expect(producer.init({ timeoutMs: 1, expected: old, freshProducerId: undefined }, NOW)).toMatchObject({
      kind: 'ready',
      isChanged: false,
    })
    expect(producer.identity).toEqual(identity)
  })

  test('where that has used up the epochs, it gets a new producer id', () => {
    const producer = exhausted()
    const expected = producer.identity
    producer.add(expected, { partitions: [PARTITION] }, NOW)
    const init = { timeoutMs: 1, expected }
    expect(producer.init({ ...init, freshProducerId: undefined }, NOW).kind).toBe('aborting')
    producer.complete(NOW)
    expect(producer.init({ ...init, freshProducerId: undefined }, NOW).kind).toBe('needs-producer-id')
    expect(producer.init({ ...init, freshProducerId: FRESH_ID }, NOW).kind).toBe('ready')
    expect(producer.init({ ...init, freshProducerId: undefined }, NOW)).toMatchObject({ isChanged: false })
    expect(producer.identity).toEqual({ producerId: FRESH_ID, producerEpoch: 0 })
  })
})

describe('[TXN-5] a transaction lasts as long as was asked for, and no longer', () => {
  test('its time begins with the first write, and later ones do not prolong it', () => {
    const producer = producerIn('Empty', 1)
    expect(producer.deadline).toBeUndefined()
    producer.add(producer.identity, { partitions: [PARTITION] }, at(5000))
    producer.add(producer.identity, { groups: ['g'] }, at(9000))
    expect(producer.deadline).toBe(5000 + TIMEOUT_MS)
    expect(producer.startedAtMs).toBe(at(5000).wallMs)
  })

  test('after a restart an open one has its whole time again, and one that is being ended needs none', () => {
    const restored = (phase: TransactionPhase) =>
      TransactionalProducer.restore('tx', producerIn(phase, 2).snapshot(), at(77))
    expect(restored('Ongoing').deadline).toBe(77 + TIMEOUT_MS)
    expect(restored('PrepareCommit').deadline).toBeUndefined()
    for (const phase of TRANSACTION_PHASES) expect(restored(phase).snapshot()).toEqual(producerIn(phase, 2).snapshot())
  })
})

test('[TXN-6] a transaction holds a bounded number of partitions and groups', () => {
  const producer = producerIn('Empty', 1)
  const partitions = Array.from({ length: TRANSACTION_MEMBERS_MAX }, (_, partition) => ({ topicId: 'T', partition }))
  expect(producer.add(producer.identity, { partitions }, NOW).errorCode).toBe(0)
  expect(producer.add(producer.identity, { partitions }, NOW)).toEqual({ errorCode: 0, isChanged: false })
  expect(producer.add(producer.identity, { groups: ['g'] }, NOW).errorCode).toBe(ErrorCode.POLICY_VIOLATION)
  expect([...producer.partitions]).toHaveLength(TRANSACTION_MEMBERS_MAX)
})

test('[TXN-7] while it is being ended it shows what has no marker yet, and nothing of it afterwards', () => {
  const producer = producerIn('PrepareCommit', 1)
  expect([...producer.partitions]).toEqual([PARTITION])
  producer.marked(PARTITION)
  producer.groupsDecided()
  expect([...producer.partitions, ...producer.groups]).toEqual([])
  producer.complete(NOW)
  expect(producer).toMatchObject({ phase: 'CompleteCommit', ending: undefined, isAtRest: true })
})
