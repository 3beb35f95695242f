/** Which APIs and versions a relay speaks: the first request of every connection (KIP-35, KIP-511). */
import { api } from '../api.ts'
import { array, bool, int16, int32, int64, since, string, struct, tagged } from '../schema.ts'

/** v3 names the client software; a request above our version is answered in v0 with UNSUPPORTED_VERSION. */
export const apiVersions = api({
  key: 18,
  name: 'ApiVersions',
  versions: [0, 4],
  flexibleFrom: 3,
  request: struct({
    clientSoftwareName: since(3, string()),
    clientSoftwareVersion: since(3, string()),
  }),
  response: struct({
    errorCode: int16(),
    apiKeys: array(
      struct({
        apiKey: int16(),
        minVersion: int16(),
        maxVersion: int16(),
      }),
    ),
    throttleTimeMs: since(1, int32()),
    supportedFeatures: tagged(
      0,
      3,
      array(
        struct({
          name: since(3, string()),
          minVersion: since(3, int16()),
          maxVersion: since(3, int16()),
        }),
      ),
    ),
    finalizedFeaturesEpoch: tagged(1, 3, int64(), -1),
    finalizedFeatures: tagged(
      2,
      3,
      array(
        struct({
          name: since(3, string()),
          maxVersionLevel: since(3, int16()),
          minVersionLevel: since(3, int16()),
        }),
      ),
    ),
    zkMigrationReady: tagged(3, 3, bool()),
  }),
})
