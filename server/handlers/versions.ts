/**
 * ApiVersions, versions 0-4 (KIP-35, KIP-511).
 *
 * Ottla's own keys are listed only for software that names itself Ottla's: some Kafka clients choke on unknown keys.
 * A version above ours is answered in version 0 with UNSUPPORTED_VERSION, and the connection lives on.
 */
import type { ResponseInputOf } from '../../protocol/api.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
import { entry, type HandlerEntry } from '../handler.ts'

const OTTLA_KEYS_FROM = 20_000

type Versions = ResponseInputOf<typeof apiVersions>

/** `entries` is asked at each request, because the table that holds this handler is one of its own rows. */
export function apiVersionsHandler(entries: () => readonly HandlerEntry[]): HandlerEntry {
  return entry(apiVersions, 'none', (request, { connection }) => {
    connection.softwareName = request.clientSoftwareName
    const listed = entries().filter(({ api }) => connection.isOttla || api.key < OTTLA_KEYS_FROM)
    return answer(ErrorCode.NONE, listed)
  })
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
