/**
 * Seeds that once failed, and what they found. They always run. What a seed does changes with the workload, so each
 * finding has a test of its own as well.
 */
export const PAST_SEEDS: ReadonlyArray<{ seed: number; found: string }> = [
  { seed: 98, found: 'a log start that had been told moved back after a restart: the manifest met a full disk' },
  { seed: 27, found: 'a new producer overtook its own batch, which a full disk had refused' },
]
