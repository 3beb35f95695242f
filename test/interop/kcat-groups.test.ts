/** librdkafka's balanced consumer (kcat -G), unmodified. */
import { test } from 'vitest'
import { relayForGroups, sharesAndTakesOver } from './group-scenario.ts'
import { kcatMember } from './kcat-member.ts'

test('[GRP-20] kcat: two members share, one leaves, the other takes over; bytes and commits agree', async () => {
  const relay = await relayForGroups()
  await sharesAndTakesOver(relay, (group, topic) => kcatMember(relay, group, topic))
}, 60_000)
