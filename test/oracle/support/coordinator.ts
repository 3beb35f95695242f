import { findCoordinator } from '../../../protocol/messages/coordinators.ts'
import { offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { eventually } from '../../support/eventually.ts'
import type { Peer } from './compare.ts'

/** Kafka makes the topic that holds the offsets when it is first asked for. */
export async function coordinatorIsThere(peer: Peer): Promise<void> {
  await eventually(
    async () => {
      const found = await peer.wire.call(findCoordinator, { keyType: 0, coordinatorKeys: [peer.unique('warm-up')] })
      if (found.coordinators[0]!.errorCode !== 0) return false
      const { groups } = await peer.wire.call(
        offsetFetch,
        { groups: [{ groupId: peer.unique('warm-up'), topics: null }] },
        9,
      )
      return groups[0]!.errorCode === 0
    },
    { withinMs: 30_000, what: 'the coordinator is there' },
  )
}
