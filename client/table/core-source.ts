/** Tables get what they need of the core that they live in. */
import type { ReplicaPolicy } from '../core.ts'
import type { OttlaError } from '../errors.ts'
import { needsRelay } from '../needs-relay.ts'
import type { Replica } from '../replica/replica.ts'
import type { Session } from '../session.ts'
import type { TableSource } from './source.ts'

export interface CoreOfTables extends Pick<TableSource, 'clock' | 'readReplica' | 'waiting'> {
  session: Session
  replica: Replica
  isEncrypted: boolean
  checkOpen(): void
  /** More is followed than before. */
  changed(): void
  /** The storage of the device has failed: noted, and as applications are told. */
  failed(failure: unknown): OttlaError
}

export function coreSource(parts: CoreOfTables): TableSource {
  const { session, replica, isEncrypted, checkOpen, changed, failed, ...core } = parts
  return {
    ...core,
    follow: async (name, policy) => {
      checkOpen()
      if (session.isKafka) throw needsRelay(`the table of ${name}`)
      const info = replica.known(name) ?? (await session.metadata.lookUp(name))
      const ranges = await replica.follow(info, isEncrypted ? wholeOf(policy) : policy).catch((failure: unknown) => {
        throw failed(failure)
      })
      changed()
      return ranges
    },
    ranges: (name) => replica.ranges(name),
    logStart: (topicId, partition) => replica.logStart(topicId, partition),
    takenIn: (topicId, partition, offset) => replica.takenIn(topicId, partition, offset),
    beginAgain: (topicId, partition) => replica.beginAgain(topicId, partition),
    isLive: () => session.state.phase === 'live',
    relayNow: () => core.clock.now() + (session.clockOffsetMs ?? 0),
  }
}

/** The rows of a table are not encrypted, so they are in memory then, and are made of the replica at each start. */
function wholeOf({ onlyForTable: _, ...policy }: ReplicaPolicy): ReplicaPolicy {
  return policy
}
