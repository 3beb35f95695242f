import { expect, test } from 'vitest'
import { emptyPosition } from '../../../client/replica/follower.ts'
import { initialSync, type SyncEvent, type SyncState, step } from '../../../client/replica/sync-state.ts'

const held = (nextOffset: number) => ({ ...emptyPosition('id', 0), nextOffset })

/** The state after all of them, and the effects of the last. */
function after(state: SyncState, ...events: SyncEvent[]) {
  let effects: string[] = []
  for (const event of events) {
    const done = step(state, event)
    state = done.state
    effects = done.effects.map(({ type }) => type)
  }
  return { state, effects }
}

const started = (startOffset: number): SyncEvent => ({ type: 'started', startOffset, logStart: 0, relayEnd: 13 })
const upTo = (nextOffset: number): SyncEvent => ({
  ...{ type: 'delivered', nextOffset, leaderEpoch: 0, logStart: 0, relayEnd: 13, sizeBytes: 100 },
})

test('[REP-16] a subscription from behind records that then were not stored does not count', () => {
  const following = after(initialSync(held(8), held(0), {}), started(8), upTo(13), { type: 'disconnected' }).state
  expect(following.nextOffset).toBe(13)
  // Asked for from 13 on; what lies before it meets a full device now.
  const failed = after(following, { type: 'store-failed' }).state
  const answered = after(failed, started(13))
  expect(answered.effects).toEqual(['restart'])
  expect(answered.state).toMatchObject({ phase: 'waiting', nextOffset: 8 })
  expect(after(answered.state, upTo(13)).effects).toEqual([])
  expect(after(answered.state, started(8)).state).toMatchObject({ phase: 'following', nextOffset: 8 })
})

test('[TAB-14] what a policy would throw away at once is fetched all the same while a table has to take it in', () => {
  const behind = initialSync(held(2), held(0), { lastRecords: 3 })
  expect(after(behind, started(2)).effects).toEqual(['forget-queued', 'reset'])
  const forTable = after(behind, { ...started(2), takenIn: 2 } as SyncEvent)
  expect(forTable.effects).toEqual(['tell'])
  expect(forTable.state).toMatchObject({ phase: 'following', nextOffset: 2 })
})
