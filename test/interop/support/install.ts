/** Before the first interop test: the clients that are not here yet are fetched. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export default function setup(): void {
  const script = fileURLToPath(new URL('../../../scripts/setup-interop.sh', import.meta.url))
  execFileSync('bash', [script, 'all'], { stdio: 'inherit' })
}
