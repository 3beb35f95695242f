import { expect, test } from 'vitest'
import { growthPercent } from '../../server/v8-tuning.ts'

const MIB = 1024 * 1024

test('a small heap may gather a fixed amount of garbage, a large one as much as the engine thinks fit', () => {
  expect(growthPercent(12 * MIB)).toBe(300)
  expect(growthPercent(18 * MIB)).toBe(200)
  expect(growthPercent(36 * MIB)).toBe(0)
  expect(growthPercent(1024 * MIB)).toBe(0)
})
