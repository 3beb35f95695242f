/** One Apache Kafka for the whole run. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startApacheKafka } from '../../support/apache-kafka.ts'

export default async function setup() {
  const script = fileURLToPath(new URL('../../../scripts/setup-interop.sh', import.meta.url))
  execFileSync('bash', [script, 'all'], { stdio: 'inherit' })
  const kafka = await startApacheKafka({
    settings: {
      'auto.create.topics.enable': 'false',
      'group.consumer.min.assignment.interval.ms': 0,
      'group.consumer.assignment.interval.ms': 0,
    },
  })
  process.env.OTTLA_ORACLE_ADDRESS = kafka.address
  return () => kafka.stop()
}
