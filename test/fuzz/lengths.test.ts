/** All that has a length in any request, API by API and version by version, says the most and the least that it can. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../protocol/lib/random.ts'
import { ping } from '../../protocol/messages/offset-protocol.ts'
import { startChildRelay } from '../server/support/child-relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import type { FuzzCase } from './cases.ts'
import { Draw } from './draw.ts'
import { Flood } from './flood.ts'
import { generateRequest } from './generate.ts'
import { House } from './house.ts'
import { KnownValues } from './known-values.ts'
import { liesFor } from './mutations.ts'
import { APIS, versionsOf, writeRequest } from './request-tree.ts'
import { measuredIn } from './wire-tree.ts'
import { DOORS } from './wires.ts'

/** The newest version of each API, and the newest that is not flexible; in the long run all. */
const ALL_VERSIONS = process.env.OTTLA_FUZZ !== undefined
/** At its peak, and with what a young process takes anyway (some 120 MiB). Believing one length would cost up to 2 GiB. */
const GROWTH_BYTES_MAX = 192 * 1024 * 1024

test(
  '[RPC-7] every length field of every API set to its extremes is refused before memory is taken',
  async () => {
    const config = { httpPort: 0, kafkaPort: 0, dataDir: '/data', groupInitialRebalanceDelayMs: 0 }
    const relay = await startChildRelay({ config, inMemory: true })
    const client = await RelayClient.open(relay.websocket)
    const known = new KnownValues()
    const house = new House(client, known)
    await house.tidy()
    const flood = new Flood({ kafka: relay.kafka!, websocket: relay.websocket }, known)
    const before = await relay.report()
    let fields = 0
    await flood.run(
      lyingCases(known, () => fields++),
      16,
    )
    const after = await relay.report()
    const { answered, refused, abandoned, faults } = flood.outcome
    const growthBytes = after.peakRssBytes - before.rssBytes
    console.log({ fields, answered, refused, abandoned, growthBytes })
    expect(fields).toBeGreaterThan(500)
    expect(refused).toBeGreaterThan(fields)
    expect(faults).toEqual([])
    expect(after.uncaught).toEqual([])
    expect(after.errors).toEqual([])
    expect(growthBytes).toBeLessThan(GROWTH_BYTES_MAX)
    expect(await client.call(ping, { clientTimeMs: 5 })).toMatchObject({ clientTimeMs: 5 })
  },
  ALL_VERSIONS ? 600_000 : 120_000,
)

function* lyingCases(known: KnownValues, onField: () => void): Generator<FuzzCase> {
  let index = 0
  const draw = new Draw(seededRandom(1))
  for (const api of APIS) {
    const some = new Set([api.maxVersion, Math.min(api.flexibleFrom - 1, api.maxVersion)])
    for (const version of versionsOf(api)) {
      if (!ALL_VERSIONS && !some.has(version)) continue
      const tree = generateRequest(api, version, { draw, known, complete: true })
      for (const part of [tree.header, tree.body]) {
        for (const node of measuredIn(part)) {
          onField()
          for (const lie of liesFor(node)) {
            node.lie = lie
            const request = writeRequest(tree)
            yield {
              index,
              door: DOORS[index++ % 2]!,
              isStranger: false,
              waitsForAnswers: false,
              steps: [() => request],
              raw: undefined,
            }
          }
          node.lie = undefined
        }
      }
    }
  }
}
