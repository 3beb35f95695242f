/** A process that appends until it is killed and prints what was acknowledged. Usage: node kill-writer.mjs DIR */
import { systemClock } from '../../../protocol/lib/clock.ts'
import { DEFAULT_LOG_CONFIG } from '../../../server/log/log-config.ts'
import { openPartitionLog } from '../../../server/log/open-log.ts'
import { nodeFiles } from '../../../server/storage/node-files.ts'
import { batchOf } from '../../support/batches.ts'

const config = () => ({ ...DEFAULT_LOG_CONFIG, segmentBytes: 20_000 })
const dir = process.argv[2]!
const log = await openPartitionLog({ files: nodeFiles, dir, clock: systemClock, config, checkpointBytes: 7000 })
if (log.fault) throw new Error(log.fault.message)

async function produce(producer: number): Promise<void> {
  for (let count = 0; ; count++) {
    const value = `${process.pid}-${producer}-${count}`.padEnd(20 + (count % 300), '.')
    const { baseOffset, durable } = log.append(batchOf([value]))
    await durable
    process.stdout.write(`${baseOffset} ${value}\n`)
  }
}
await Promise.all(Array.from({ length: 6 }, (_, producer) => produce(producer)))
