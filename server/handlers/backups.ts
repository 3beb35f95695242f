/**
 * OpenBackup, ReadBackup, CloseBackup 0: who may alter the relay may copy all that is in it.
 *
 * A read waits for its turn among the connection's replies, so that one connection never holds two answers in memory.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { closeBackup, openBackup, readBackup } from '../../protocol/messages/backup.ts'
import { entry, type RequestContext } from '../handler.ts'
import { errorFields } from './error-fields.ts'

const FILES_PER_PAGE = 1000
const READ_BYTES_MAX = 1024 * 1024

export const openBackupHandler = entry(openBackup, 'each', async ({ backupId, fromFile }, context) => {
  try {
    checkAllowed(context)
    const { backups } = context.services
    const { id, createdAtMs, files } = backupId === null ? await backups.make() : await backups.find(backupId)
    return {
      ...{ errorCode: ErrorCode.NONE, errorMessage: null, backupId: id, createdAtMs, fileCount: files.length },
      totalBytes: files.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
      files: files.slice(Math.max(0, fromFile), Math.max(0, fromFile) + FILES_PER_PAGE),
    }
  } catch (error) {
    return { ...errorFields(error), backupId: '', createdAtMs: -1, fileCount: 0, totalBytes: 0, files: [] }
  }
})

export const readBackupHandler = entry(readBackup, 'each', async (request, context) => {
  await context.turn()
  try {
    checkAllowed(context)
    const { backupId, file, position, bytesMax } = request
    const content = await context.services.backups.read(backupId, file, position, Math.min(bytesMax, READ_BYTES_MAX))
    return { errorCode: ErrorCode.NONE, errorMessage: null, content }
  } catch (error) {
    return { ...errorFields(error), content: new Uint8Array(0) }
  }
})

export const closeBackupHandler = entry(closeBackup, 'each', async ({ backupId }, context) => {
  try {
    checkAllowed(context)
    await context.services.backups.close(backupId)
    return { errorCode: ErrorCode.NONE, errorMessage: null }
  } catch (error) {
    return errorFields(error)
  }
})

function checkAllowed(context: RequestContext): void {
  if (context.allows('alter', { type: 'cluster' })) return
  throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED', 'not allowed to copy the data of this relay')
}
