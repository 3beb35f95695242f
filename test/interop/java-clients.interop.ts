/** Apache Kafka's own Java client, of the last 3.x and of 4.x, unmodified, from Maven Central. */
import { testClient } from './support/client-scenario.ts'
import { cacheFolder, fromHere, programDriver } from './support/driver.ts'
import { testSharing } from './support/shares-with-ottla.ts'

for (const version of ['3.9.1', '4.3.1']) {
  const classPath = `${cacheFolder}/kafka-${version}/*`
  const program = fromHere('../clients/java/JavaClient.java')

  const start = () => programDriver('java', ['-XX:TieredStopAtLevel=1', '-cp', classPath, program])

  testClient({
    client: 'Java client',
    start,
    sendsPatterns: version.startsWith('4'),
    withoutConsumerProtocol: version.startsWith('3') ? 'the protocol is a preview in this client' : undefined,
  })

  testSharing(`Java client ${version}`, start, version.startsWith('4'))
}
