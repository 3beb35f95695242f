/** Kafka's clients for Go, unmodified, through the Go module proxy: franz-go and sarama. */
import { testClient } from './support/client-scenario.ts'
import { cacheFolder, programDriver } from './support/driver.ts'

testClient({
  client: 'franz-go',
  start: () => programDriver(`${cacheFolder}/franz-go`, []),
  sendsPatterns: true,
})

testClient({
  client: 'sarama',
  start: () => programDriver(`${cacheFolder}/sarama`, []),
  withoutConsumerProtocol: 'the client has none',
})
