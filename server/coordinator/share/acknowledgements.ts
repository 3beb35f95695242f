/** What a member says became of records, as it comes: runs of offsets, with one type for all or one for each. */
import { KafkaError } from '../../../protocol/errors.ts'
import { AcknowledgeType } from '../../../protocol/messages/share-fetch.ts'

export interface Acknowledgement {
  readonly firstOffset: number
  readonly lastOffset: number
  readonly acknowledgeTypes: readonly number[]
}

/** Runs of offsets for which the same is said. */
export function* evenPiecesOf({ firstOffset, lastOffset, acknowledgeTypes }: Acknowledgement) {
  if (acknowledgeTypes.length === 1) {
    yield { first: firstOffset, last: lastOffset, type: acknowledgeTypes[0]! }
    return
  }
  for (let from = 0; from < acknowledgeTypes.length; ) {
    const type = acknowledgeTypes[from]!
    let to = from
    while (to + 1 < acknowledgeTypes.length && acknowledgeTypes[to + 1] === type) to++
    yield { first: firstOffset + from, last: firstOffset + to, type }
    from = to + 1
  }
}

/** Throws KafkaError INVALID_REQUEST unless the batches are in order, and say one thing for all offsets or one for each. */
export function checkAcknowledgements(batches: readonly Acknowledgement[], mayRenew: boolean): void {
  let next = 0
  for (const { firstOffset, lastOffset, acknowledgeTypes } of batches) {
    const { length } = acknowledgeTypes
    if (firstOffset < next || lastOffset < firstOffset) throw invalid('acknowledged offsets are not in order')
    if (length !== 1 && length !== lastOffset - firstOffset + 1)
      throw invalid(`${length} acknowledgements for ${lastOffset - firstOffset + 1} offsets`)
    for (const type of acknowledgeTypes) {
      if (type < AcknowledgeType.gap || type > AcknowledgeType.renew) throw invalid(`${type} is no acknowledgement`)
      if (type === AcknowledgeType.renew && !mayRenew) throw invalid('this request or this group has no renewals')
    }
    next = lastOffset + 1
  }
}

const invalid = (message: string) => new KafkaError('INVALID_REQUEST', message)
