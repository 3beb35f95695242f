/** Every batch of a data folder checked, for commands that must not go on with a damaged one. */

import { type VerifiedDataDir, verifyDataDir } from '../server/engine/verify.ts'
import { nodeFiles } from '../server/storage/node-files.ts'

/** @throws an Error that names the first damage. */
export async function verifiedFolder(dir: string): Promise<VerifiedDataDir> {
  const checking = verifyDataDir(nodeFiles, dir)
  let step = await checking.next()
  for (; !step.done; step = await checking.next()) {
    const { severity, log, file, message } = step.value
    if (severity === 'error') throw new Error(`${dir} is damaged: ${log}/${file}: ${message}; 'ottla verify' tells all`)
  }
  return step.value
}
