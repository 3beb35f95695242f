/**
 * Sends sealed batches and acts on the answers.
 *
 * Invariants: requests go out in the order in which they were formed, although their bytes may have to be read first;
 * a request has at most one batch of a partition; what is in flight in all is bounded; a batch formed for one connection
 * is not sent on another.
 */
import { asOttlaError, OttlaError } from '../errors.ts'
import { relayError } from '../relay-errors.ts'
import type { OutboxChange, SettledWrite } from '../replica/store-outbox.ts'
import { backOff, type DrainContext, tellEnded } from './context.ts'
import type { Lane, LaneBatch } from './lane.ts'
import { type OutgoingBatch, type ProduceAnswer, sendProduce } from './relay-calls.ts'
import { batchBytes } from './sealer.ts'
import { refusalError, unknownOutcome, verdictOn } from './settlement.ts'

const IN_FLIGHT_BYTES_MAX = 8 * 1024 * 1024
/** Until the relay has said what it takes. */
const REQUEST_BYTES_MAX = 1024 * 1024
/** Header of the request and of its topics and partitions. */
const REQUEST_SLACK_BYTES = 8 * 1024
const DOUBTS_MAX = 5

interface Shipment {
  lane: Lane
  batch: LaneBatch
  sizeBytes: number
}

export class Sender {
  readonly #context: DrainContext
  readonly #forgetTopic: (name: string) => void
  #inFlightBytes = 0
  #lastFormed: Promise<void> = Promise.resolve()

  /** `forgetTopic` makes the next look at the topic ask the relay again. */
  constructor(context: DrainContext, forgetTopic: (name: string) => void) {
    this.#context = context
    this.#forgetTopic = forgetTopic
  }

  /** Sends all that may go now. `lanes` are those whose topic is known to be there. */
  sendFrom(lanes: readonly Lane[]): void {
    for (;;) {
      const shipments = this.#formRequest(lanes)
      if (shipments.length === 0) return
      for (const { batch, sizeBytes } of shipments) {
        batch.isInFlight = true
        this.#inFlightBytes += sizeBytes
      }
      this.#ship(shipments)
    }
  }

  #formRequest(lanes: readonly Lane[]): Shipment[] {
    const requestBytesMax = (this.#context.session.limits?.requestBytesMax ?? REQUEST_BYTES_MAX) - REQUEST_SLACK_BYTES
    const shipments: Shipment[] = []
    let requestBytes = 0
    for (const lane of lanes) {
      if (this.#inFlightBytes + requestBytes >= IN_FLIGHT_BYTES_MAX) break
      const batch = lane.nextToSend()
      if (!batch) continue
      const sizeBytes = batch.rows.reduce((sum, row) => sum + row.sizeBytes, 0)
      if (sizeBytes > requestBytesMax) {
        refuse(lane, batch, tooLarge(lane, sizeBytes, requestBytesMax))
        this.#context.wake()
        continue
      }
      if (shipments.length > 0 && requestBytes + sizeBytes > requestBytesMax) continue
      shipments.push({ lane, batch, sizeBytes })
      requestBytes += sizeBytes
    }
    return shipments
  }

  #ship(shipments: readonly Shipment[]): void {
    const connection = this.#context.connectionNumber()
    const formed = this.#lastFormed.then(() => this.#formBatches(shipments))
    const sent = formed.then((ready) => {
      if (connection !== this.#context.connectionNumber()) throw interrupted()
      const answers =
        ready.length > 0
          ? sendProduce(
              this.#context.session,
              ready.map(({ outgoing }) => outgoing),
            )
          : []
      return { ready, answers }
    })
    // The next request waits until this one has been handed to the session, not until it is answered.
    this.#lastFormed = sent.then(noop, noop)
    sent
      .then(async ({ ready, answers }) => {
        const all = await answers
        for (const [index, { shipment }] of ready.entries()) this.#answered(shipment, all[index])
      })
      .catch((failure: unknown) => {
        for (const shipment of shipments) if (shipment.batch.isInFlight) this.#unanswered(shipment, failure)
      })
      .finally(() => this.#context.wake())
  }

  async #formBatches(shipments: readonly Shipment[]): Promise<Array<{ shipment: Shipment; outgoing: OutgoingBatch }>> {
    const ready: Array<{ shipment: Shipment; outgoing: OutgoingBatch }> = []
    for (const shipment of shipments) {
      const { topic, topicId, partition } = shipment.lane
      try {
        const records = await batchBytes(shipment.batch, this.#context.store)
        ready.push({ shipment, outgoing: { topic, topicId, partition, records } })
      } catch (failure) {
        this.#landed(shipment)
        if (failure instanceof OttlaError) refuse(shipment.lane, shipment.batch, failure)
        else this.#unreadable(shipment, failure)
      }
    }
    return ready
  }

  #landed({ batch, sizeBytes }: Shipment): void {
    batch.isInFlight = false
    this.#inFlightBytes -= sizeBytes
  }

  #unreadable({ lane }: Shipment, failure: unknown): void {
    lane.isDraining = true
    backOff(lane, this.#context)
    this.#context.storeFailed(failure)
  }

  #unanswered(shipment: Shipment, failure: unknown): void {
    const { lane, batch } = shipment
    this.#landed(shipment)
    const { code, message } = asOttlaError(failure, 'PROTOCOL')
    if (code === 'TOO_LARGE') return refuse(lane, batch, relayError(code, { message }))
    batch.mayHaveLanded = true
    lane.standing = 'unknown'
    lane.isDraining = true
    // A lost connection brings its own waiting; anything else would be repeated at once.
    if (code !== 'DISCONNECTED') backOff(lane, this.#context)
  }

  #answered(shipment: Shipment, answer: ProduceAnswer | undefined): void {
    const { lane, batch } = shipment
    if (!answer) {
      return this.#unanswered(shipment, new OttlaError('PROTOCOL', { message: 'the relay left a partition out' }))
    }
    this.#landed(shipment)
    const verdict = verdictOn(answer.errorCode)
    if (verdict === 'done') return this.#settle(lane, batch, answer.baseOffset, answer.isRelaxed)
    const isFinal = verdict !== 'retry' && verdict !== 'retry-elsewhere' && verdict !== 'doubtful'
    if (verdict === 'done-somewhere' || (batch.hasLanded && isFinal)) {
      // Where the answer that said more was lost, no more is promised.
      return this.#settle(lane, batch, -1, true)
    }
    lane.isDraining = true
    switch (verdict) {
      case 'retry-elsewhere':
        this.#forgetTopic(lane.topic)
        return backOff(lane, this.#context)
      case 'ask':
        return quarrel(lane, batch, this.#context)
      case 'refused':
      case 'refused-record':
        batch.refusal = { kind: verdict, error: refusalError(lane, answer.errorCode, answer.errorText) }
        return
      case 'doubtful':
        return this.#doubt(lane, batch, answer)
      default:
        return backOff(lane, this.#context)
    }
  }

  #doubt(lane: Lane, batch: LaneBatch, answer: ProduceAnswer): void {
    batch.mayHaveLanded = true
    if (++batch.doubts >= DOUBTS_MAX) {
      const why = refusalError(lane, answer.errorCode, answer.errorText).message
      batch.refusal = { kind: 'unknown', error: unknownOutcome(lane, `${DOUBTS_MAX} attempts failed: ${why}`) }
    }
    backOff(lane, this.#context)
  }

  #settle(lane: Lane, batch: LaneBatch, baseOffset: number, isRelaxed: boolean): void {
    const { ledger, clock } = this.#context
    lane.remove(batch)
    lane.failures = 0
    lane.quarrels = 0
    const { producerId, producerEpoch } = batch.sealed
    const isCurrentStamp = lane.identity?.producerId === producerId && lane.identity.producerEpoch === producerEpoch
    if (isCurrentStamp && lane.standing === 'fresh') lane.standing = 'known'
    const putSettled = new Map<string, SettledWrite>()
    let offset = baseOffset
    for (const row of batch.rows) {
      const landing = { partition: lane.partition, baseOffset: offset, isRelaxed }
      putSettled.set(row.id, ledger.noteCommitted(row, landing, clock.now()))
      if (offset >= 0) offset += row.recordCount
      ledger.remove(row)
    }
    this.#commitEventually({
      deleteSealed: [batch.sealed.key],
      deleteRows: batch.rows.map(({ key }) => key),
      putSettled: [...putSettled.values()],
      durability: 'relaxed',
    })
    // Told before anything is forgotten: one batch may carry more writes than are remembered.
    tellEnded(this.#context, [...putSettled.keys()])
    const deleteSettled = ledger.forgetOldSettled(clock.now())
    if (deleteSettled.length > 0) this.#commitEventually({ deleteSettled, durability: 'relaxed' })
  }

  /** That a batch is in the log stays true whether or not we can note it: a note that fails is made again later. */
  #commitEventually(change: OutboxChange, attempt = 0): void {
    const { commits, clock, storeFailed } = this.#context
    commits.commit(change).catch((failure: unknown) => {
      storeFailed(failure)
      if (attempt < 5) clock.setTimer(1_000 * 2 ** attempt, () => this.#commitEventually(change, attempt + 1))
    })
  }
}

/** A sequence that does not fit, or a producer that the relay does not know. Behind a failed batch that is no news. */
function quarrel(lane: Lane, batch: LaneBatch, context: DrainContext): void {
  if (lane.sealed[0] !== batch) return
  lane.quarrels++
  lane.standing = 'unknown'
  if (lane.quarrels > 1) backOff(lane, context)
}

function refuse(lane: Lane, batch: LaneBatch, error: OttlaError): void {
  lane.isDraining = true
  batch.refusal = { kind: error.code === 'TOO_LARGE' ? 'refused-record' : 'refused', error: error.toInfo() }
}

function tooLarge(lane: Lane, sizeBytes: number, requestBytesMax: number): OttlaError {
  return relayError('TOO_LARGE', {
    message: `a write of ${sizeBytes} bytes to ${lane.topic}-${lane.partition} exceeds the ${requestBytesMax} bytes the relay takes in one request`,
  })
}

const interrupted = (): OttlaError =>
  new OttlaError('DISCONNECTED', { message: 'the connection ended before the send' })
const noop = (): void => {}
