/** Quotas of users and clients (KIP-546). */
import { api } from '../api.ts'
import { array, bool, float64, int8, int16, int32, nullable, string, struct, withDefault } from '../schema.ts'

/** Entries null in the answer when nothing could be looked at. */
export const describeClientQuotas = api({
  key: 48,
  name: 'DescribeClientQuotas',
  versions: [0, 1],
  flexibleFrom: 1,
  request: struct({
    components: array(
      struct({
        entityType: string(),
        matchType: int8(),
        match: nullable(string()),
      }),
    ),
    strict: bool(),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    errorMessage: nullable(string()),
    entries: nullable(
      array(
        struct({
          entity: array(
            struct({
              entityType: string(),
              entityName: nullable(string()),
            }),
          ),
          values: array(
            struct({
              key: string(),
              value: float64(),
            }),
          ),
        }),
      ),
    ),
  }),
})

/** An entity is a combination of user, client id and address; a name of null is its default. */
export const alterClientQuotas = api({
  key: 49,
  name: 'AlterClientQuotas',
  versions: [0, 1],
  flexibleFrom: 1,
  request: struct({
    entries: array(
      struct({
        entity: array(
          struct({
            entityType: string(),
            entityName: nullable(string()),
          }),
        ),
        ops: array(
          struct({
            key: string(),
            value: float64(),
            remove: bool(),
          }),
        ),
      }),
    ),
    validateOnly: bool(),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    entries: array(
      struct({
        errorCode: int16(),
        errorMessage: nullable(string()),
        entity: array(
          struct({
            entityType: string(),
            entityName: nullable(string()),
          }),
        ),
      }),
    ),
  }),
})
