/** One group, handed from library to library: each goes on where the one before has committed. */
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { RelayClient } from '../support/relay-client.ts'
import {
  committedOffsets,
  type LibraryMember,
  PARTITIONS,
  relayForGroups,
  type SeenRecord,
  writeRound,
} from './group-scenario.ts'
import { kafkajsMember } from './kafkajs-member.ts'
import { kcatMember } from './kcat-member.ts'
import { platformaticMember } from './platformatic-member.ts'

test('[GRP-20] kafkajs, @platformatic/kafka and kcat read on from where the other has committed', async () => {
  const relay = await relayForGroups()
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('shared', { partitions: PARTITIONS })
  for (const [round, start] of [kafkajsMember, platformaticMember, kcatMember].entries()) {
    const expected = await writeRound(client, topicId, round)
    const member: LibraryMember = await start(relay, 'g', 'shared')
    await eventually(() => member.seen.length >= PARTITIONS, { withinMs: 20_000, what: `round ${round} is read` })
    await member.close()
    const inOrder = (records: readonly SeenRecord[]) => [...records].sort((a, b) => a.partition - b.partition)
    expect(inOrder(member.seen)).toEqual(expected)
    const next = Object.fromEntries(expected.map(({ partition, offset }) => [partition, offset + 1]))
    expect(await committedOffsets(client, 'g')).toEqual(next)
  }
}, 60_000)
