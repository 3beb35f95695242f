/** Apache Kafka's own Java client, of the last 3.x and of 4.x, unmodified, from Maven Central. */
import { testClient } from './support/client-scenario.ts'
import { cacheFolder, fromHere, programDriver } from './support/driver.ts'

for (const version of ['3.9.1', '4.3.1']) {
  const classPath = `${cacheFolder}/kafka-${version}/*`
  const program = fromHere('../clients/java/JavaClient.java')

  testClient({
    client: 'Java client',
    start: () => programDriver('java', ['-XX:TieredStopAtLevel=1', '-cp', classPath, program]),
    sendsPatterns: version.startsWith('4'),
    withoutConsumerProtocol: version.startsWith('3') ? 'the protocol is a preview in this client' : undefined,
  })
}
