import { expect, test } from 'vitest'
import { growthPercent } from '../../server/v8-tuning.ts'

const MIB = 1024 * 1024

test('a small heap may gather a fixed amount of garbage, a large one as much as the engine thinks fit', () => {
  expect(growthPercent(10 * MIB)).toBe(400)
  expect(growthPercent(20 * MIB)).toBe(200)
  expect(growthPercent(40 * MIB)).toBe(0)
  expect(growthPercent(1024 * MIB)).toBe(0)
})
