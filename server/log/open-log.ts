/**
 * Opening a partition's log: recover what is in its folder, begin a new one, or find that it is gone.
 */
import { KafkaError } from '../../protocol/errors.ts'
import type { Files } from '../storage/files.ts'
import { EpochTable } from './epoch-table.ts'
import type { RecoveryReport } from './log-fault.ts'
import { makeFault } from './log-fault.ts'
import type { PartitionLogOptions } from './log-options.ts'
import { OpenFileLimit } from './open-file-limit.ts'
import { PartitionLog } from './partition-log.ts'
import { ProducerTable } from './producer-state.ts'
import type { RecoveredLog, RecoveryContext } from './recovery.ts'
import { recoverLog } from './recovery.ts'

const openDirs = new WeakMap<Files, Set<string>>()

/**
 * Recovers what is in `dir`, which is made if need be. A damaged log opens offline, see `state`, `fault`, `recovery`.
 * Rejects with StorageError when the folder cannot be read at all, or when this process has it open already (LOCKED).
 */
export async function openPartitionLog(options: PartitionLogOptions): Promise<PartitionLog> {
  const dirs = openDirs.get(options.files) ?? new Set()
  openDirs.set(options.files, dirs)
  if (dirs.has(options.dir))
    throw new KafkaError('KAFKA_STORAGE_ERROR', `${options.dir} is open in this process already`)
  dirs.add(options.dir)
  const release = () => dirs.delete(options.dir)
  try {
    const limit = options.limit ?? new OpenFileLimit()
    const context = { files: options.files, dir: options.dir, limit }
    const recovered = await recoverOrCreate(context, options)
    const log = new PartitionLog({ ...options, limit }, recovered, release)
    if (options.existence === 'new' && recovered.report.isNew) await log.establish()
    return log
  } catch (error) {
    release()
    throw error
  }
}

async function recoverOrCreate(
  context: Omit<RecoveryContext, 'nowMs'>,
  { clock, files, dir, existence }: PartitionLogOptions,
): Promise<RecoveredLog> {
  const recover = () => recoverLog({ ...context, nowMs: clock.now() })
  if (await files.stat(dir)) {
    const recovered = await recover()
    return existence === 'must-exist' && recovered.report.isNew ? lostLog(dir, recovered) : recovered
  }
  if (existence === 'must-exist') return lostLog(dir)
  await files.makeDir(dir)
  return recover()
}

/** A log that was there once and is not there now: offline, so that nobody takes it for an empty one. */
function lostLog(dir: string, recovered?: RecoveredLog): RecoveredLog {
  const fault = makeFault('missing', dir, undefined, 0, 'the log that was here is gone')
  const report = { ...(recovered?.report ?? EMPTY_REPORT), isNew: false, fault }
  return { ...EMPTY_LOG, epochs: new EpochTable(), producers: new ProducerTable(), ...recovered, report }
}

const EMPTY_REPORT: Omit<RecoveryReport, 'fault'> = {
  isNew: false,
  isClean: false,
  segments: 0,
  scannedBytes: 0,
  cut: undefined,
  rebuilt: [],
  removed: [],
}
const EMPTY_LOG = {
  ...{ segments: [], startOffset: 0, endOffset: 0, snapshots: [], checkpoint: undefined, syncCounter: 0 },
  ...{ compactedTo: 0, skippedFrom: undefined },
}
