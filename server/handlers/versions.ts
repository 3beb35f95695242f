/**
 * ApiVersions, versions 0-4 (KIP-35, KIP-511).
 *
 * Ottla's own keys are listed only for software that names itself Ottla's: some Kafka clients choke on unknown keys.
 * A version above ours is answered in version 0 with UNSUPPORTED_VERSION, and the connection lives on.
 *
 * `transaction.version` 2 tells clients that a write adds its partition to the transaction, and that each end changes the
 * epoch (KIP-890). Those that do not look go on with version 1, beside the others. `share.version` 1: there are share
 * groups (KIP-932); `streams.version` 1: groups of Kafka Streams (KIP-1071).
 */
import type { ResponseInputOf } from '../../protocol/api.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
import { entry, type HandlerEntry } from '../handler.ts'

const OTTLA_KEYS_FROM = 20_000
const FEATURES = [
  { name: 'transaction.version', max: 2 },
  { name: 'share.version', max: 1 },
  { name: 'streams.version', max: 1 },
]
/** Features whose lowest version is 0 would stop older clients (KAFKA-17011). */
const FEATURES_FROM_ZERO_FROM = 4

type Versions = ResponseInputOf<typeof apiVersions>

/** `entries` is asked at each request, because the table that holds this handler is one of its own rows. */
export function apiVersionsHandler(entries: () => readonly HandlerEntry[]): HandlerEntry {
  return entry(
    apiVersions,
    'none',
    (request, { connection, apiVersion }) => {
      connection.softwareName = request.clientSoftwareName
      const listed = entries().filter(({ api }) => connection.isOttla || api.key < OTTLA_KEYS_FROM)
      return { ...answer(ErrorCode.NONE, listed), ...features(apiVersion) }
    },
    { isBeforeSignIn: true },
  )
}

export function unsupportedApiVersions(): Versions {
  const { key: apiKey, minVersion, maxVersion } = apiVersions
  return { errorCode: ErrorCode.UNSUPPORTED_VERSION, apiKeys: [{ apiKey, minVersion, maxVersion }] }
}

function answer(errorCode: number, entries: readonly HandlerEntry[]): Versions {
  const apiKeys = entries.map(({ api, advertisedMinVersion }) => ({
    apiKey: api.key,
    minVersion: advertisedMinVersion,
    maxVersion: api.maxVersion,
  }))
  return { errorCode, apiKeys }
}

function features(apiVersion: number): Partial<Versions> {
  const supported = FEATURES.map(({ name, max }) => ({ name, minVersion: 0, maxVersion: max }))
  return {
    supportedFeatures: apiVersion >= FEATURES_FROM_ZERO_FROM ? supported : [],
    finalizedFeaturesEpoch: 1,
    finalizedFeatures: FEATURES.map(({ name, max }) => ({ name, minVersionLevel: max, maxVersionLevel: max })),
  }
}
