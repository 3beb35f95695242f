/**
 * What it means that a write was acknowledged.
 *
 *  - `fsync`: it is on disk. Writes that wait while one sync runs share the next.
 *  - `relaxed`: it was handed to the operating system, and readers may see it. It outlives the process, but a power cut may
 *    take it, with everything written since the last sync; that comes every flush.ms, and with each closed segment.
 *
 * Whatever the topic says, the end of a transaction is synced, and with it what was written before.
 *
 * What a power cut takes is always the end of a log: it opens with a new leader epoch, and replicas are told from where to
 * cut. Nothing that was synced is ever lost to what was not: segments are synced before compaction looks at them, and the
 * log start does not pass the synced end.
 */
export type Durability = 'fsync' | 'relaxed'
