/** What has a configuration, and replacing one as a whole. */
import { api } from '../api.ts'
import { array, bool, int8, int16, int32, nullable, since, string, struct, withDefault } from '../schema.ts'

/** What is not named goes back to its default; IncrementalAlterConfigs changes single settings. */
export const alterConfigs = api({
  key: 33,
  name: 'AlterConfigs',
  versions: [0, 2],
  flexibleFrom: 2,
  request: struct({
    resources: array(
      struct({
        resourceType: int8(),
        resourceName: string(),
        configs: array(
          struct({
            name: string(),
            value: nullable(string()),
          }),
        ),
      }),
    ),
    validateOnly: bool(),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    responses: array(
      struct({
        errorCode: int16(),
        errorMessage: nullable(string()),
        resourceType: int8(),
        resourceName: string(),
      }),
    ),
  }),
})

/** Version 0 lists subscriptions to client metrics (type 16) and nothing else. */
export const listConfigResources = api({
  key: 74,
  name: 'ListConfigResources',
  versions: [0, 1],
  flexibleFrom: 0,
  request: struct({
    resourceTypes: since(1, array(int8())),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    configResources: array(
      struct({
        resourceName: string(),
        resourceType: since(1, int8(), 16),
      }),
    ),
  }),
})
