/**
 * The order in which the test files run: what takes longest begins first, so that the run does not end with one long file
 * and nothing beside it. Vitest goes by the size of files where it has not run them before, and the longest are small.
 */
import { relative } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Those of more than half a minute, and those in several processes that leave no core for others at the end. */
const LONG = [
  'test/simulation/simulation.test.ts',
  'test/fuzz/requests.test.ts',
  'test/browsers/kills.test.ts',
  'test/server/crash.test.ts',
  'test/browsers/firefox.test.ts',
  'test/browsers/chromium.test.ts',
  'test/browsers/webkit.test.ts',
  'test/interop/sign-in.test.ts',
  'test/worker/trouble.test.ts',
  'test/worker/connect.test.ts',
  'test/worker/transactions.test.ts',
  'test/worker/group-tabs.test.ts',
  'test/server/crash-outbox.test.ts',
  'test/server/log/crash.test.ts',
]

export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONG.indexOf(relative(this.ctx.config.root, moduleId))
      return at < 0 ? LONG.length : at
    }
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}
