/** From what an application asked for to a consumer at work, for a handler that is called or a loop that takes. */
import { OttlaError } from '../errors.ts'
import { onPageHide } from '../page-hide.ts'
import type { TopicRecord } from '../record.ts'
import type { ConsumerSetup, Listeners } from './consumer.ts'
import { ConsumerEngine, type Work } from './consumer-engine.ts'
import { HandOver } from './hand-over.ts'
import type { BatchHandler, EachOptions, Handler } from './options.ts'

type Records = TopicRecord<unknown, unknown>[]

/** Handed over together at most. */
const BATCH_RECORDS_MAX = 64

export type Taking =
  | { by: 'handler'; handler: Handler<unknown, unknown>; options: EachOptions }
  | { by: 'batch-handler'; handler: BatchHandler<unknown, unknown>; options: EachOptions }
  | { by: 'loop'; inBatches: boolean }

export interface Running {
  readonly engine: ConsumerEngine
  /** For a loop. The consumer ends with it. */
  taken(): AsyncGenerator<Records, void, undefined>
}

export async function startConsumer(setup: ConsumerSetup, taking: Taking, listeners: Listeners): Promise<Running> {
  const { groupId, group, topics, matching, options, client } = setup
  const { clock, random, codecs } = client
  const handOver = new HandOver<Records>()
  const work = workOf(taking, handOver)
  const lanes = await client.lanes()
  const engine: ConsumerEngine = new ConsumerEngine(
    {
      ...{ groupId, group, topics, matching, options, lanes, clock, random, codecs, topic: client.topic },
      events: {
        assigned: (partitions) => tellAll(listeners.assigned, (tell) => tell(partitions)),
        revoked: (partitions, isLost) => tellAll(listeners.revoked, (tell) => tell(partitions, { isLost })),
        gap: (gap) => listeners.gap.forEach((tell) => void tell(gap)),
        changed: () => listeners.status.forEach((tell) => void tell(engine.status)),
      },
    },
    work,
  )
  const forget = client.onClose(() => engine.close())
  const stayQuiet = onPageHide(() => engine.stepOut())
  void engine.ended
    .catch(() => {})
    .then(() => {
      forget()
      stayQuiet()
    })
  engine.start()
  return { engine, taken: () => taken(engine, handOver) }
}

async function* taken(engine: ConsumerEngine, handOver: HandOver<Records>): AsyncGenerator<Records, void, undefined> {
  try {
    for (let records = await handOver.next(); records; records = await handOver.next()) yield records
    await engine.ended
  } finally {
    await engine.close()
  }
}

/** Resolves when every listener has. */
async function tellAll<L>(listeners: Iterable<L>, tell: (listener: L) => unknown): Promise<void> {
  await Promise.all([...listeners].map(tell))
}

function workOf(taking: Taking, handOver: HandOver<Records>): Work {
  const end = () => handOver.end()
  if (taking.by === 'loop') {
    return {
      ...{ end, concurrency: Number.POSITIVE_INFINITY, batchMax: taking.inBatches ? BATCH_RECORDS_MAX : 1 },
      handle: (records, _context, halted) => handOver.offer(records, halted),
    }
  }
  const { concurrency = 1 } = taking.options
  if (!(concurrency >= 1)) {
    throw new OttlaError('INVALID_ARGUMENT', { message: `concurrency must be 1 or more, not ${concurrency}` })
  }
  if (taking.by === 'handler') {
    const { handler } = taking
    return { end, concurrency, batchMax: 1, handle: (records, context) => handler(records[0]!, context) }
  }
  const { handler } = taking
  return { end, concurrency, batchMax: BATCH_RECORDS_MAX, handle: (records, context) => handler(records, context) }
}
