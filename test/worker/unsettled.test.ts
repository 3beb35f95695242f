import { describe, expect, test } from 'vitest'
import type { Settled } from '../../client/core.ts'
import { Unsettled } from '../../worker/unsettled.ts'

const outcome = (id: string): Settled => ({ id, outcome: 'committed', partitions: [0], offsets: [1] })

describe('writes whose outcome is not heard yet', () => {
  test('[WRK-17] only stored ones are asked for, and each is told once', async () => {
    const unsettled = new Unsettled()
    for (const id of ['storing', 'stored', 'heard', 'withdrawn']) unsettled.began(id)
    for (const id of ['stored', 'heard', 'withdrawn']) unsettled.stored(id)
    unsettled.heard([outcome('heard')])
    unsettled.forget('withdrawn')
    const asked: string[][] = []
    const ask = async (ids: string[]) => {
      asked.push(ids)
      return ids.map(outcome)
    }
    expect(await unsettled.ask(ask)).toEqual([outcome('stored')])
    expect(await unsettled.ask(ask)).toEqual([])
    expect(asked).toEqual([['stored']])
  })

  test('[WRK-17] an event that overtakes the answer is not told twice', async () => {
    const unsettled = new Unsettled()
    unsettled.began('a')
    unsettled.stored('a')
    const news = unsettled.ask(async (ids) => {
      unsettled.heard([outcome('a')])
      return ids.map(outcome)
    })
    expect(await news).toEqual([])
  })

  test('[WRK-17] many are asked for in portions', async () => {
    const unsettled = new Unsettled()
    for (let count = 0; count < 2_500; count++) {
      unsettled.began(`w${count}`)
      unsettled.stored(`w${count}`)
    }
    const portions: number[] = []
    await unsettled.ask(async (ids) => {
      portions.push(ids.length)
      return []
    })
    expect(portions).toEqual([1_000, 1_000, 500])
  })
})
