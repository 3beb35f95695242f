/**
 * Seeds that once failed, and what they found. They always run. What a seed does changes with the workload, so each
 * finding has a test of its own as well.
 */
export const PAST_SEEDS: ReadonlyArray<{ seed: number; found: string }> = [
  { seed: 98, found: 'a log start that had been told moved back after a restart: the manifest met a full disk' },
  { seed: 28, found: 'a new producer overtook its own batch, which a full disk had refused' },
  { seed: 27, found: 'SyncGroup told a follower of an assignment that was not on disk, and then never was' },
  { seed: 76, found: 'groups stayed out of service because the disk could not be read for a moment at the start' },
  { seed: 130, found: 'the health check did not tell of a group coordinator that was out of service until a restart' },
  { seed: 210, found: 'a table over a replica of the last records began again for ever when the log was longer' },
  {
    seed: 31,
    found: 'a full device: a subscription from behind what was not stored was taken for one from its beginning',
  },
  { seed: 108, found: 'readers were told of a truncation, and given records twice, when a table began again' },
  { seed: 571, found: 'a reader took what was dropped during its read, to be fetched again, for compacted away' },
  { seed: 1294, found: 'an empty group that went on with the other protocol counted its generations from 1 again' },
  { seed: 3595, found: 'a transaction that a table had read from the outbox in parts stayed pending for ever' },
  {
    seed: 5465,
    found:
      'on a full device the next transaction of an outbox committed what the one before had begun, which came twice',
  },
  {
    seed: 5068,
    found: 'a sync that failed as its process died was believed by the next one, and a power cut left a hole',
  },
  { seed: 8888, found: 'a table that was opened as its replica was taken over threw an error of the inside' },
  {
    seed: 16408,
    found: 'a transaction that another client had committed was told with the places of an aborted attempt',
  },
  {
    seed: 16478,
    found: 'a relay that started with its clock a month ahead forgot a producer, and took its batch twice',
  },
  { seed: 20050, found: 'a table of some keys that had come up to date went on saying that it was behind' },
  {
    seed: 2991,
    found: 'a table took for the start of the log what a replica of the last records had begun at, and lost rows',
  },
]
