/** Looking at groups and removing them. */
import { api } from '../api.ts'
import { array, bool, bytes, int16, int32, nullable, since, string, struct, withDefault } from '../schema.ts'

/** A group that is not known is Dead before 6, GROUP_ID_NOT_FOUND from 6 on. */
export const describeGroups = api({
  key: 15,
  name: 'DescribeGroups',
  versions: [0, 6],
  flexibleFrom: 5,
  request: struct({
    groups: array(string()),
    includeAuthorizedOperations: since(3, bool()),
  }),
  response: struct({
    throttleTimeMs: since(1, int32()),
    groups: array(
      struct({
        errorCode: int16(),
        errorMessage: since(6, nullable(string())),
        groupId: string(),
        groupState: string(),
        protocolType: string(),
        protocolData: string(),
        members: array(
          struct({
            memberId: string(),
            groupInstanceId: since(4, nullable(string())),
            clientId: string(),
            clientHost: string(),
            memberMetadata: bytes(),
            memberAssignment: bytes(),
          }),
        ),
        authorizedOperations: since(3, int32(), -2147483648),
      }),
    ),
  }),
})

/** Filters by state from 4, by type from 5. */
export const listGroups = api({
  key: 16,
  name: 'ListGroups',
  versions: [0, 5],
  flexibleFrom: 3,
  request: struct({
    statesFilter: since(4, array(string())),
    typesFilter: since(5, array(string())),
  }),
  response: struct({
    throttleTimeMs: since(1, int32()),
    errorCode: int16(),
    groups: array(
      struct({
        groupId: string(),
        protocolType: string(),
        groupState: since(4, string()),
        groupType: since(5, string()),
      }),
    ),
  }),
})

/** Only groups without members. */
export const deleteGroups = api({
  key: 42,
  name: 'DeleteGroups',
  versions: [0, 2],
  flexibleFrom: 2,
  request: struct({
    groupsNames: array(string()),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    results: array(
      struct({
        groupId: string(),
        errorCode: int16(),
      }),
    ),
  }),
})
