/**
 * Vitest's global set-up: builds the program once before all tests that spawn it.
 *
 * `npx vitest run test/cli/x.test.ts` alone runs it as well; it costs nothing when the build is fresh.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export default function buildBeforeTests(): void {
  const script = fileURLToPath(new URL('../../scripts/ensure-built.mjs', import.meta.url))
  execFileSync(process.execPath, [script, 'cli', 'demo', 'lib', 'web', 'examples'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}
