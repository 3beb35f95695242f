/** Kafka's clients for Python, unmodified, from PyPI: confluent-kafka (librdkafka), kafka-python, aiokafka. */
import { execFileSync } from 'node:child_process'
import { beforeAll } from 'vitest'
import { testClient } from './support/client-scenario.ts'
import { cacheFolder, fromHere, programDriver } from './support/driver.ts'
import { testSharing } from './support/shares-with-ottla.ts'

beforeAll(() => {
  execFileSync('bash', [fromHere('../../../scripts/setup-interop.sh')], { stdio: 'inherit' })
}, 300_000)

const python = (script: string) => () =>
  programDriver(`${cacheFolder}/python/bin/python`, [fromHere(`../clients/python/${script}`)])

testClient({
  client: 'confluent-kafka-python',
  start: python('confluent.py'),
  sendsPatterns: true,
})

testSharing('confluent-kafka-python', python('confluent.py'), true)

testClient({
  client: 'kafka-python',
  start: python('kafka_python.py'),
  writesNullHeaders: false,
  withoutConsumerProtocol: 'the client has none',
})

testClient({
  client: 'aiokafka',
  start: python('aio.py'),
  withoutConsumerProtocol: 'the client has none',
})
