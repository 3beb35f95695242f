/** Classic consumer groups: members agree on who reads what (join, sync, heartbeat, leave). */
import { api } from '../api.ts'
import { array, bool, bytes, int16, int32, nullable, since, string, struct, until, withDefault } from '../schema.ts'

/** From 4 a new member gets its id first (MEMBER_ID_REQUIRED, KIP-394); static members from 5 (KIP-345). */
export const joinGroup = api({
  key: 11,
  name: 'JoinGroup',
  versions: [0, 9],
  flexibleFrom: 6,
  request: struct({
    groupId: string(),
    sessionTimeoutMs: int32(),
    rebalanceTimeoutMs: since(1, int32(), -1),
    memberId: string(),
    groupInstanceId: since(5, nullable(string())),
    protocolType: string(),
    protocols: array(
      struct({
        name: string(),
        metadata: bytes(),
      }),
    ),
    reason: since(8, nullable(string())),
  }),
  response: struct({
    throttleTimeMs: since(2, int32()),
    errorCode: int16(),
    generationId: withDefault(-1, int32()),
    protocolType: since(7, nullable(string())),
    protocolName: nullable(string()),
    leader: string(),
    skipAssignment: since(9, bool()),
    memberId: string(),
    members: array(
      struct({
        memberId: string(),
        groupInstanceId: since(5, nullable(string())),
        metadata: bytes(),
      }),
    ),
  }),
})

/** The leader hands in the assignment, everybody gets their part. */
export const syncGroup = api({
  key: 14,
  name: 'SyncGroup',
  versions: [0, 5],
  flexibleFrom: 4,
  request: struct({
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    groupInstanceId: since(3, nullable(string())),
    protocolType: since(5, nullable(string())),
    protocolName: since(5, nullable(string())),
    assignments: array(
      struct({
        memberId: string(),
        assignment: bytes(),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: since(1, int32()),
    errorCode: int16(),
    protocolType: since(5, nullable(string())),
    protocolName: since(5, nullable(string())),
    assignment: bytes(),
  }),
})

/** REBALANCE_IN_PROGRESS asks the member to join again. */
export const heartbeat = api({
  key: 12,
  name: 'Heartbeat',
  versions: [0, 4],
  flexibleFrom: 4,
  request: struct({
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    groupInstanceId: since(3, nullable(string())),
  }),
  response: struct({
    throttleTimeMs: since(1, int32()),
    errorCode: int16(),
  }),
})

/** Several members at once from 3 on. */
export const leaveGroup = api({
  key: 13,
  name: 'LeaveGroup',
  versions: [0, 5],
  flexibleFrom: 4,
  request: struct({
    groupId: string(),
    memberId: until(2, string()),
    members: since(
      3,
      array(
        struct({
          memberId: since(3, string()),
          groupInstanceId: since(3, nullable(string())),
          reason: since(5, nullable(string())),
        }),
      ),
    ),
  }),
  response: struct({
    throttleTimeMs: since(1, int32()),
    errorCode: int16(),
    members: since(
      3,
      array(
        struct({
          memberId: since(3, string()),
          groupInstanceId: since(3, nullable(string())),
          errorCode: since(3, int16()),
        }),
      ),
    ),
  }),
})
