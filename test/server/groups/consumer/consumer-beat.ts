/** Heartbeats to a coordinator: what is not said is as before. */
import type { HeartbeatReply } from '../../../../server/coordinator/consumer/consumer-group.ts'
import type { HeartbeatCommand } from '../../../../server/coordinator/consumer/membership.ts'
import { NO_PARTITIONS, type Partitions } from '../../../../server/coordinator/consumer/partitions.ts'
import type { GroupCoordinator } from '../../../../server/coordinator/runtime.ts'

export type Beat = Partial<HeartbeatCommand>

/** All of topic T of the fixture. */
export const everything: Partitions = new Map([['T', [0]]])

export function consumerBeat(
  coordinator: GroupCoordinator,
  memberId: string,
  beat: Beat,
  groupId = 'g',
): Promise<HeartbeatReply> {
  return coordinator.consumerHeartbeat(
    groupId,
    {
      ...{ memberId, memberEpoch: 0, instanceId: null, rackId: null, clientId: 'client', clientHost: '/127.0.0.1' },
      ...{ rebalanceTimeoutMs: null, subscribedNames: null, subscribedRegex: null, serverAssignor: null },
      owned: beat.memberEpoch === 0 ? NO_PARTITIONS : null,
      ...beat,
    },
    () => true,
  )
}
