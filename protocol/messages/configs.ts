/** Reading and changing configuration. */
import { api } from '../api.ts'
import { array, bool, int8, int16, int32, nullable, since, string, struct, withDefault } from '../schema.ts'

/** configurationKeys null asks for all. */
export const describeConfigs = api({
  key: 32,
  name: 'DescribeConfigs',
  versions: [1, 4],
  flexibleFrom: 4,
  request: struct({
    resources: array(
      struct({
        resourceType: int8(),
        resourceName: string(),
        configurationKeys: nullable(array(string())),
      }),
    ),
    includeSynonyms: bool(),
    includeDocumentation: since(3, bool()),
  }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    results: array(
      struct({
        errorCode: int16(),
        errorMessage: nullable(string()),
        resourceType: int8(),
        resourceName: string(),
        configs: array(
          struct({
            name: string(),
            value: nullable(string()),
            readOnly: bool(),
            configSource: withDefault(-1, int8()),
            isSensitive: bool(),
            synonyms: array(
              struct({
                name: string(),
                value: nullable(string()),
                source: int8(),
              }),
            ),
            configType: since(3, int8()),
            documentation: since(3, nullable(string())),
          }),
        ),
      }),
    ),
  }),
})

/** Operations: 0 set, 1 delete (back to the default), 2 append, 3 subtract (KIP-339). */
export const incrementalAlterConfigs = api({
  key: 44,
  name: 'IncrementalAlterConfigs',
  versions: [0, 1],
  flexibleFrom: 1,
  request: struct({
    resources: array(
      struct({
        resourceType: int8(),
        resourceName: string(),
        configs: array(
          struct({
            name: string(),
            configOperation: int8(),
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
