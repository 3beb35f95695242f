/** Copying the data of a running relay as it was in one instant. */
import { api } from '../api.ts'
import { array, bytes, int16, int32, int64, nullable, string, struct } from '../schema.ts'

/** Backup id null makes a point; another goes on with one. Files come in pages, from `fromFile` on. */
export const openBackup = api({
  key: 20040,
  name: 'OpenBackup',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    backupId: nullable(string()),
    fromFile: int32(),
  }),
  response: struct({
    errorCode: int16(),
    errorMessage: nullable(string()),
    backupId: string(),
    createdAtMs: int64(),
    fileCount: int32(),
    totalBytes: int64(),
    files: array(
      struct({
        path: string(),
        sizeBytes: int64(),
      }),
    ),
  }),
})

export const readBackup = api({
  key: 20041,
  name: 'ReadBackup',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    backupId: string(),
    file: int32(),
    position: int64(),
    bytesMax: int32(),
  }),
  response: struct({
    errorCode: int16(),
    errorMessage: nullable(string()),
    content: bytes(),
  }),
})

/** Lets go of the point; one that is not there is no error. */
export const closeBackup = api({
  key: 20042,
  name: 'CloseBackup',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    backupId: string(),
  }),
  response: struct({
    errorCode: int16(),
    errorMessage: nullable(string()),
  }),
})
