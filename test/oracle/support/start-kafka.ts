/** One Apache Kafka for the whole run; or, by OTTLA_ORACLE_ADDRESS, one that runs already with these settings. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startApacheKafka } from '../../support/apache-kafka.ts'

/** Changes count at once, and a test need not wait long for what runs out. */
const SETTINGS = {
  'auto.create.topics.enable': 'false',
  'group.consumer.assignment.interval.ms': 0,
  'group.share.assignment.interval.ms': 0,
  'group.streams.assignment.interval.ms': 0,
  'group.streams.initial.rebalance.delay.ms': 0,
  'group.share.min.record.lock.duration.ms': 1000,
}

export default async function setup() {
  if (process.env.OTTLA_ORACLE_ADDRESS) return
  const script = fileURLToPath(new URL('../../../scripts/setup-interop.sh', import.meta.url))
  execFileSync('bash', [script, 'all'], { stdio: 'inherit' })
  const kafka = await startApacheKafka({ settings: SETTINGS })
  process.env.OTTLA_ORACLE_ADDRESS = kafka.address
  return () => kafka.stop()
}
