/** Finding the broker that coordinates a group or a transactional id. */
import { api } from '../api.ts'
import { array, between, int8, int16, int32, nullable, since, string, struct, until } from '../schema.ts'

/** keyType 0 group, 1 transaction, 2 share. Several keys at once from 4 on (KIP-699). */
export const findCoordinator = api({
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 6],
  flexibleFrom: 3,
  request: struct({
    key: until(3, string()),
    keyType: since(1, int8()),
    coordinatorKeys: since(4, array(string())),
  }),
  response: struct({
    throttleTimeMs: since(1, int32()),
    errorCode: until(3, int16()),
    errorMessage: between(1, 3, nullable(string())),
    nodeId: until(3, int32()),
    host: until(3, string()),
    port: until(3, int32()),
    coordinators: since(
      4,
      array(
        struct({
          key: since(4, string()),
          nodeId: since(4, int32()),
          host: since(4, string()),
          port: since(4, int32()),
          errorCode: since(4, int16()),
          errorMessage: since(4, nullable(string())),
        }),
      ),
    ),
  }),
})
