/** Everything that a relay has in a partition, by its own protocol. */
import { FROM_START } from '../../protocol/messages/offset-protocol.ts'
import { recordsIn } from './read-values.ts'
import { RelayClient } from './relay-client.ts'

export async function storedRecords(url: string, topicId: string, partition: number) {
  const client = await RelayClient.open(url)
  const { highWatermark } = await client.subscribe(topicId, FROM_START, { partition, credit: 64 * 1024 * 1024 })
  const deliveries = highWatermark > 0 ? await client.deliveredTo(highWatermark, 20_000) : []
  client.socket.terminate()
  return deliveries.flatMap(({ records }) => recordsIn(records))
}
