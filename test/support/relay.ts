/** A real relay on a free port with its data in a temporary folder, and the folder's end. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { RelayConfig } from '../../server/config.ts'
import { createRelay, type Relay, type RelayOptions } from '../../server/relay.ts'

export async function temporaryFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'ottla-test-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** Closed when the test ends. Give `dataDir` to start on data that is there. */
export async function startRelay(
  options: Omit<RelayOptions, 'config'> & { config?: Partial<RelayConfig> } = {},
): Promise<Relay> {
  const dataDir = options.config?.dataDir ?? (await temporaryFolder())
  const relay = await createRelay({ ...options, config: { httpPort: 0, ...options.config, dataDir } })
  onTestFinished(() => relay.close())
  return relay
}
