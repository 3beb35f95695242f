/** Copying a relay's data as it was in one instant; `ottla backup` is made of these. Not in Kafka. */
import { type AdminDriver, type AdminOptions, verdict } from './driver.ts'

export interface BackupFile {
  /** Below the data folder. */
  path: string
  sizeBytes: number
}

export interface Backup {
  id: string
  createdAtMs: number
  totalBytes: number
  files: BackupFile[]
}

/** Makes a point, or finds the one with this id again. It is kept for a day, or until it is closed. */
export function openBackup(driver: AdminDriver, id?: string, options: AdminOptions = {}): Promise<Backup> {
  const run = driver.run(options)
  return run.one('any', 'opening a backup', async (ask) => {
    let page = await ask('OpenBackup', { backupId: id ?? null, fromFile: 0 })
    const files = [...page.files]
    while (page.errorCode === 0 && files.length < page.fileCount) {
      page = await ask('OpenBackup', { backupId: page.backupId, fromFile: files.length })
      files.push(...page.files)
    }
    return verdict(page, ({ backupId, createdAtMs, totalBytes }) => ({ id: backupId, createdAtMs, totalBytes, files }))
  })
}

export interface BackupPlace {
  id: string
  /** Index in the backup's files. */
  file: number
  position: number
}

/** Up to 1 MiB from there on; nothing at the end of the file. */
export function readBackup(
  driver: AdminDriver,
  { id: backupId, file, position }: BackupPlace,
  options: AdminOptions = {},
): Promise<Uint8Array> {
  return driver
    .run(options)
    .one('any', 'reading a backup', async (ask) =>
      verdict(await ask('ReadBackup', { backupId, file, position, bytesMax: 1024 * 1024 }), ({ content }) => content),
    )
}

/** The relay lets go of what only the backup held. */
export function closeBackup(driver: AdminDriver, id: string, options: AdminOptions = {}): Promise<void> {
  return driver
    .run(options)
    .one('any', 'closing a backup', async (ask) => verdict(await ask('CloseBackup', { backupId: id }), () => undefined))
}
