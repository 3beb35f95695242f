/** Access control lists. */
import { api } from '../api.ts'
import { array, int8, int16, int32, nullable, string, struct, withDefault } from '../schema.ts'

/** A filter field that is null or 1 (any) matches everything. */
export const describeAcls = api({
  key: 29,
  name: 'DescribeAcls',
  versions: [1, 3],
  flexibleFrom: 2,
  request: struct({
    resourceTypeFilter: int8(),
    resourceNameFilter: nullable(string()),
    patternTypeFilter: withDefault(3, int8()),
    principalFilter: nullable(string()),
    hostFilter: nullable(string()),
    operation: int8(),
    permissionType: int8(),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    errorMessage: nullable(string()),
    resources: array(
      struct({
        resourceType: int8(),
        resourceName: string(),
        patternType: withDefault(3, int8()),
        acls: array(
          struct({
            principal: string(),
            host: string(),
            operation: int8(),
            permissionType: int8(),
          }),
        ),
      }),
    ),
  }),
})

/** Operations and permissions by KIP-11, prefixed resources by KIP-290. */
export const createAcls = api({
  key: 30,
  name: 'CreateAcls',
  versions: [1, 3],
  flexibleFrom: 2,
  request: struct({
    creations: array(
      struct({
        resourceType: int8(),
        resourceName: string(),
        resourcePatternType: withDefault(3, int8()),
        principal: string(),
        host: string(),
        operation: int8(),
        permissionType: int8(),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    results: array(
      struct({
        errorCode: int16(),
        errorMessage: nullable(string()),
      }),
    ),
  }),
})

/** Removes all that match a filter, and says which those were. */
export const deleteAcls = api({
  key: 31,
  name: 'DeleteAcls',
  versions: [1, 3],
  flexibleFrom: 2,
  request: struct({
    filters: array(
      struct({
        resourceTypeFilter: int8(),
        resourceNameFilter: nullable(string()),
        patternTypeFilter: withDefault(3, int8()),
        principalFilter: nullable(string()),
        hostFilter: nullable(string()),
        operation: int8(),
        permissionType: int8(),
      }),
    ),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    filterResults: array(
      struct({
        errorCode: int16(),
        errorMessage: nullable(string()),
        matchingAcls: array(
          struct({
            errorCode: int16(),
            errorMessage: nullable(string()),
            resourceType: int8(),
            resourceName: string(),
            patternType: withDefault(3, int8()),
            principal: string(),
            host: string(),
            operation: int8(),
            permissionType: int8(),
          }),
        ),
      }),
    ),
  }),
})
