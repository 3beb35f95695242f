import { OttlaError } from './errors.ts'
import { storeErrorFrom } from './replica/store-error.ts'

/** As applications see whatever the storage of the device threw. */
export function storageFailure(failure: unknown): OttlaError {
  return failure instanceof OttlaError ? failure : storeErrorFrom(failure, 'the storage of this device').toOttlaError()
}
