/**
 * Makes a damaged data folder whole again, as far as it can be: first a plan that changes nothing, then its steps.
 *
 *   logs         every batch that can be read stays where it was; for the rest there is a hole (log/repair/)
 *   metadata     topics whose record is lost are known again by their folders
 *   partitions   a log that is gone altogether begins anew, empty
 *   folders      what belongs to no topic
 *
 * Everything that is taken away is in DATA/quarantine/TIME/ first. A repair that a crash ends is made again.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { DEFAULT_LOG_CONFIG } from '../log/log-config.ts'
import { MANIFEST_NAME, segmentFiles } from '../log/log-names.ts'
import { openPartitionLog } from '../log/open-log.ts'
import { repairLog } from '../log/repair/log-repair.ts'
import { type LogSurvey, surveyLog } from '../log/repair/log-survey.ts'
import type { LostOffsets } from '../log/repair/lost-offsets.ts'
import { type Files, StorageError } from '../storage/files.ts'
import { Quarantine } from '../storage/quarantine.ts'
import { claimFormat, FORMAT_FILE, readFormat } from './data-format.ts'
import { MetadataLog } from './metadata-log.ts'
import {
  isTopicFolder,
  type KnownMetadata,
  type MetadataRestoration,
  partitionCountIn,
  readMetadata,
  restoreIds,
  restoreTopic,
  topicFolders,
} from './repair-metadata.ts'
import { folderOfTopic, topicIdOfFolder } from './topic-folders.ts'

export interface RepairOptions {
  files: Files
  clock: Clock
  random: Random
}

/** `log` is the folder below the data folder; what is lost has no records any more, and its offsets stay as they are. */
export interface DataDirStep {
  log: string
  file: string
  message: string
  lost: LostOffsets[]
}

export interface DataDirRepair {
  steps: DataDirStep[]
  quarantine: string
  carryOut(): Promise<void>
  /** Gives the folder back; call it in any case. */
  close(): Promise<void>
}

/**
 * Reads everything. The folder stays locked until the repair is closed.
 *
 * @throws StorageError LOCKED while a relay runs on the folder, NOT_DATA when it holds no relay's data, NEWER_FORMAT.
 */
export async function planRepair(options: RepairOptions, dataDir: string): Promise<DataDirRepair> {
  const { files } = options
  const isData = (await files.stat(`${dataDir}/metadata`))?.isFolder || (await topicFolders(files, dataDir)).length > 0
  if (!isData) {
    throw new StorageError('NOT_DATA', 'repair', dataDir, 'no data of a relay: neither a folder metadata nor topics')
  }
  const unlock = await files.lock(dataDir)
  try {
    const plan = new Plan(options, dataDir)
    await plan.make()
    return { steps: plan.steps, quarantine: plan.quarantine.dir, carryOut: () => plan.carryOut(), close: unlock }
  } catch (error) {
    await unlock()
    throw error
  }
}

class Plan {
  readonly steps: DataDirStep[] = []
  readonly quarantine: Quarantine
  readonly #options: RepairOptions
  readonly #dataDir: string
  readonly #actions: Array<() => Promise<void>> = []
  #producerIdMax = -1

  constructor(options: RepairOptions, dataDir: string) {
    this.#options = options
    this.#dataDir = dataDir
    const time = new Date(options.clock.now()).toISOString().replaceAll(':', '-')
    this.quarantine = new Quarantine(options.files, dataDir, `${dataDir}/quarantine/${time}`)
  }

  async make(): Promise<void> {
    const { files, random } = this.#options
    await this.#planFormat()
    const known = await readMetadata(files, `${this.#dataDir}/metadata`)
    const metadata = await this.#planLog('metadata')
    const isLost = !metadata || known.clusterId === undefined || metadata.steps.some(({ lost }) => lost.length > 0)
    for (const [id, { name, partitionCount }] of known.topics) {
      for (let partition = 0; partition < partitionCount; partition++) {
        await this.#planLog(`topics/${folderOfTopic({ name, id })}/${partition}`)
      }
    }
    for (const coordinator of ['groups', 'transactions']) {
      // Nothing is written there before the first group or transaction.
      if (await this.#isLog(coordinator)) await this.#planLog(coordinator)
    }
    const restored = await this.#planFolders(known, isLost)
    const areIdsUsed = this.#producerIdMax >= known.producerIdsBelow
    const ids = isLost || areIdsUsed ? restoreIds(known, this.#producerIdMax, randomUuid(random)) : []
    this.#planMetadata([...ids, ...restored])
  }

  async carryOut(): Promise<void> {
    for (const action of this.#actions) await action()
  }

  #add(step: DataDirStep, action: () => Promise<void>): void {
    this.steps.push(step)
    this.#actions.push(action)
  }

  async #planFormat(): Promise<void> {
    const { files } = this.#options
    try {
      await readFormat(files, this.#dataDir)
    } catch (error) {
      if (!(error instanceof StorageError && error.code === 'NOT_DATA')) throw error
      const message = 'it does not tell the format of this folder any more; written anew'
      this.#add({ log: '.', file: FORMAT_FILE, message, lost: [] }, async () => {
        await this.quarantine.take(`${this.#dataDir}/${FORMAT_FILE}`)
        await claimFormat(files, this.#dataDir)
      })
    }
  }

  /** undefined when nothing is left of the log. */
  async #planLog(log: string): Promise<LogSurvey | undefined> {
    if (!(await this.#isLog(log))) {
      this.#planNewLog(log)
      return undefined
    }
    const survey = await surveyLog(this.#options.files, `${this.#dataDir}/${log}`)
    this.#producerIdMax = Math.max(this.#producerIdMax, survey.producerIdMax)
    if (survey.steps.length === 0) return survey
    this.steps.push(...survey.steps.map((step) => ({ log, ...step })))
    this.#actions.push(() => repairLog({ ...this.#options, quarantine: this.quarantine }, survey))
    return survey
  }

  async #isLog(log: string): Promise<boolean> {
    const { files } = this.#options
    const dir = `${this.#dataDir}/${log}`
    const names = (await files.stat(dir))?.isFolder ? await files.list(dir) : []
    return segmentFiles(names).length > 0 || names.includes(MANIFEST_NAME)
  }

  #planNewLog(log: string): void {
    const { files, clock } = this.#options
    const message = 'nothing is left of this log; it begins anew, empty, at offset 0'
    this.#add({ log, file: log, message, lost: [] }, async () => {
      const dir = `${this.#dataDir}/${log}`
      await files.makeDir(dir)
      const opened = await openPartitionLog({ files, dir, clock, config: () => DEFAULT_LOG_CONFIG, existence: 'new' })
      await opened.close()
    })
  }

  /**
   * Folders that the metadata does not name, or not wholly. One with records in it is a topic whose record is lost. So is any
   * while records of the metadata are lost; else it is what a creation or a deletion left.
   */
  async #planFolders({ topics, deletedIds }: KnownMetadata, isLost: boolean): Promise<MetadataRestoration[]> {
    const { files } = this.#options
    const restored: MetadataRestoration[] = []
    for (const folder of await topicFolders(files, this.#dataDir)) {
      const id = topicIdOfFolder(folder)
      const record = topics.get(id)
      const log = `topics/${folder}`
      const count = isTopicFolder(folder) ? await partitionCountIn(files, `${this.#dataDir}/${log}`) : 0
      const isDeleted = deletedIds.has(id)
      if (record && count <= record.partitionCount) continue
      const known = record?.partitionCount ?? 0
      if (!isDeleted && count > known && (isLost || (await this.#hasRecords(log, known, count)))) {
        for (let partition = known; partition < count; partition++) await this.#planLog(`${log}/${partition}`)
        restored.push(restoreTopic(folder, count, record))
      } else if (!record) this.#planStranger(log, isDeleted)
    }
    return restored
  }

  async #hasRecords(log: string, fromPartition: number, count: number): Promise<boolean> {
    const { files } = this.#options
    for (let partition = fromPartition; partition < count; partition++) {
      const dir = `${this.#dataDir}/${log}/${partition}`
      if ((await files.stat(dir))?.isFolder && segmentFiles(await files.list(dir)).length > 0) return true
    }
    return false
  }

  #planStranger(log: string, isDeleted: boolean): void {
    const what = isDeleted ? 'of a topic that was deleted' : 'belongs to no topic'
    this.#add({ log, file: log, message: `${what}; moved to the quarantine`, lost: [] }, () =>
      this.quarantine.takeFolder(`${this.#dataDir}/${log}`),
    )
  }

  #planMetadata(restored: readonly MetadataRestoration[]): void {
    if (restored.length === 0) return
    const { files, clock } = this.#options
    for (const { message } of restored) this.steps.push({ log: 'metadata', file: 'metadata', message, lost: [] })
    this.#actions.push(async () => {
      const dir = `${this.#dataDir}/metadata`
      const log = await openPartitionLog({ files, dir, clock, config: () => DEFAULT_LOG_CONFIG })
      const metadata = new MetadataLog(log, clock)
      try {
        for (const { change } of restored) await metadata.append(change)
      } finally {
        await metadata.close()
      }
    })
  }
}
