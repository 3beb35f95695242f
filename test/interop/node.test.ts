/** Kafka's clients for Node, unmodified, from npm: kafkajs and @platformatic/kafka. Groups have tests of their own. */
import { createRequire } from 'node:module'
import { testClient } from './support/client-scenario.ts'
import { kafkajsDriver } from './support/kafkajs-driver.ts'
import { platformaticDriver } from './support/platformatic-driver.ts'

const versionOf = (name: string) =>
  (createRequire(import.meta.url)(`../../node_modules/${name}/package.json`) as { version: string }).version

const PLUGIN = 'the client needs a plugin for it'
testClient({
  client: 'kafkajs',
  start: () => kafkajsDriver(versionOf('kafkajs')),
  withoutCodecs: { snappy: PLUGIN, lz4: PLUGIN, zstd: PLUGIN },
  writesNullHeaders: false,
  withoutConsumerProtocol: 'the client has none',
})

testClient({
  client: '@platformatic/kafka',
  start: () => platformaticDriver(versionOf('@platformatic/kafka')),
  // Node has it from 22.15 on; the tests run on what there is.
  withoutCodecs: { zstd: 'the client has it only on Node 22.15 and newer' },
})
