/**
 * The notes: a compacted topic of notes, and one of their photos, both as tables. Writing needs neither a network nor the
 * tables; what is written is in the outbox, and shows as pending once the tables are there.
 */
import { bytes, connect, json, type Ottla, type OutboxEntry, type Table, type TableEntry } from 'ottla'
import { askForBackgroundSync, recordsOf } from 'ottla/offline'
import { REPLICA, relayUrl } from './address.ts'

const NOTES = 'field-notes'
const PHOTOS = 'field-photos'
const SHOWN_MAX = 300
const AGAIN_MS = 2_000
/** Photos that wait are not read again at each change. */
const READ_BYTES_MAX = 32_000
const READ_MAX = 50

export interface Note {
  text: string
  place: string
  writtenAt: string
  photo: { type: string; width: number; height: number } | null
}

export interface Photo {
  type: string
  width: number
  height: number
  content: Uint8Array
}

export interface Waiting {
  entry: OutboxEntry
  /** Read from the outbox for what was refused, as a person decides about it, and for what is small. */
  note: Note | undefined
  photo: Uint8Array | undefined
}

export class Notebook {
  readonly ottla: Ottla
  readonly #notes
  readonly #photos
  #tables: { notes: Table<string, Note>; photos: Table<string, Uint8Array> } | undefined

  static async open(): Promise<Notebook> {
    const ottla = await connect(relayUrl(), { replica: REPLICA, workerUrl: 'worker.js' })
    askForBackgroundSync(ottla)
    return new Notebook(ottla)
  }

  private constructor(ottla: Ottla) {
    this.ottla = ottla
    this.#notes = ottla.topic<string, Note>(NOTES, { value: json<Note>() })
    this.#photos = ottla.topic<string, Uint8Array>(PHOTOS, { value: bytes })
  }

  /** Calls `changed` when the tables are there, and at each change. On a new device that takes a network, once. */
  async follow(changed: () => void): Promise<void> {
    await this.#makeTopics()
    const notes = await this.ottla.table<string, Note>(NOTES, { value: json<Note>(), indexes: { byTime: 'writtenAt' } })
    const photos = await this.ottla.table<string, Uint8Array>(PHOTOS, { value: bytes })
    this.#tables = { notes, photos }
    notes.subscribe({}, changed)
    photos.subscribe({}, changed)
    changed()
  }

  get isOpen(): boolean {
    return this.#tables !== undefined
  }

  /** Newest first. */
  async list(): Promise<Array<TableEntry<string, Note>>> {
    return (await this.#tables?.notes.range({ index: 'byTime' }, { reverse: true, limit: SHOWN_MAX })) ?? []
  }

  async photo(id: string): Promise<Uint8Array | undefined> {
    return (await this.#tables?.photos.get(id))?.value
  }

  /** A note and its photo are stored together, and are in the log together, or not at all. Resolves when stored. */
  async write(text: string, place: string, photo: Photo | null): Promise<void> {
    const key = crypto.randomUUID()
    const facts = photo && { type: photo.type, width: photo.width, height: photo.height }
    const note: Note = { text, place, writtenAt: new Date().toISOString(), photo: facts }
    if (!photo) {
      const receipt = this.#notes.send({ key, value: note })
      // What becomes of it shows in the table and in the outbox, for this tab and for all others.
      receipt.committed.catch(() => {})
      await receipt.stored
      return
    }
    const stored = await this.ottla.transaction((tx) => {
      tx.send(this.#photos, { key, value: photo.content })
      tx.send(this.#notes, { key, value: note })
    })
    stored.committed.catch(() => {})
  }

  async delete(id: string, hasPhoto: boolean): Promise<void> {
    if (!this.#tables) return
    const receipts = [this.#tables.notes.delete(id)]
    if (hasPhoto) receipts.push(this.#tables.photos.delete(id))
    for (const { committed } of receipts) committed.catch(() => {})
    await Promise.all(receipts.map(({ stored }) => stored))
  }

  async waiting(): Promise<Waiting[]> {
    const entries = await this.ottla.outbox.list()
    const small = entries.filter(({ sizeBytes }) => sizeBytes < READ_BYTES_MAX).slice(0, READ_MAX)
    const read = [...entries.filter(isSetAside), ...small].map(({ id }) => id)
    const exported = read.length > 0 ? await this.ottla.outbox.export(read) : []
    const found = new Map<string, Omit<Waiting, 'entry'>>()
    for (const part of exported) {
      const [record] = await recordsOf(part)
      const so = found.get(part.id) ?? { note: undefined, photo: undefined }
      if (record?.value && part.topic === NOTES) so.note = json<Note>().decode(record.value)
      if (record?.value && part.topic === PHOTOS) so.photo = record.value
      found.set(part.id, so)
    }
    return entries.map((entry) => ({ entry, note: undefined, photo: undefined, ...found.get(entry.id) }))
  }

  /** Another tab, or another phone, may have made them. */
  async #makeTopics(): Promise<void> {
    if (await this.#knowsTopics()) return
    const configs = { 'cleanup.policy': 'compact' }
    for (;;) {
      try {
        await this.ottla.admin.createTopics(
          [NOTES, PHOTOS].map((name) => ({ name, configs })),
          { ifNotExists: true },
        )
        return
      } catch {
        // Offline, most likely: the status says so.
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
      }
    }
  }

  /** From the last time, offline too. */
  async #knowsTopics(): Promise<boolean> {
    const kept = (name: string) =>
      this.ottla
        .topic(name)
        .info()
        .then(
          () => true,
          () => false,
        )
    return (await kept(NOTES)) && (await kept(PHOTOS))
  }
}

/** Refused for good, or of an outcome that nobody can tell: it waits for a person. */
export const isSetAside = ({ state }: OutboxEntry): boolean => state === 'parked' || state === 'unknown'
