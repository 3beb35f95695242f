/** `ottla dead-letters …` against a real relay: what a group gave up is listed, looked at, and sent back once. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Ottla, string } from '../../client/node.ts'
import { endAll, type RelayProcess, runOttla, startRelay } from '../support/ottla-process.ts'

let relay: RelayProcess
let ottla: Ottla

const run = (...args: string[]) => runOttla([...args, '--url', relay.url])
const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(...args, '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

async function valuesOf(topic: string): Promise<Array<string | null>> {
  const values: Array<string | null> = []
  for await (const { value } of ottla.topic(topic, { value: string }).read({ from: 'beginning', follow: false }))
    values.push(value)
  return values
}

beforeAll(async () => {
  relay = await startRelay(['--kafka-port', '0'])
  ottla = await connect(relay.url)
  await ottla.admin.createTopics([{ name: 'orders', partitions: 1 }])
  const orders = ottla.topic('orders', { value: string })
  await Promise.all(
    orders
      .sendAll(['fine', 'no stock', 'no street', 'fine too'].map((value) => ({ key: value.slice(0, 4), value })))
      .map(({ committed }) => committed),
  )
  const retry = { attempts: 1, orElse: 'dead-letter' } as const
  const consumer = ottla.group('billing').read('orders', { value: string, from: 'beginning', retry })
  await new Promise<void>((resolve) => {
    void consumer.each(({ value }) => {
      if (value === 'fine too') resolve()
      if (value === 'no stock') throw Object.assign(new Error('none left'), { code: 'E_STOCK' })
      if (value === 'no street') throw new Error('a street\nis missing')
    })
  })
  await consumer.close()
})
afterAll(async () => {
  await ottla?.close()
  await endAll()
})

test('[CLI-15] dead letters are listed and shown', async () => {
  const { code, stdout } = await run('dead-letters', 'list', 'billing', 'orders')
  expect(code).toBe(0)
  expect(stdout).toMatch(/^LETTER +DIED +ORIGIN +ATTEMPTS +CODE +REASON +REPLAYED\n/)
  expect(stdout).toMatch(/0:0 +\d{4}-\S+ +orders-0@1 +1 +E_STOCK +none left +-\n/)
  expect(stdout).toMatch(/0:1 +\S+ +orders-0@2 +1 +Error +a street is missing +-\n/)
  expect(await json('dead-letters', 'list', 'billing', 'orders', '--code', 'E_STOCK')).toMatchObject([
    { topic: 'orders.billing.dlq', offset: 0, value: 'no stock', origin: { topic: 'orders', offset: 1 }, attempts: 1 },
  ])
  const shown = await run('dead-letters', 'show', 'billing', 'orders', '0:1')
  expect(shown).toMatchObject({ code: 0, stderr: '' })
  expect(shown.stdout).toContain('reason    Error: a street\nis missing')
  expect(shown.stdout).toContain('value     no street')
  const missing = await run('dead-letters', 'show', 'billing', 'orders', '0:9')
  expect(missing).toMatchObject({ code: 1, stderr: 'There is no dead letter at 0:9.\n' })
  const wrong = await run('dead-letters', 'show', 'billing', 'orders', 'first')
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('use PARTITION:OFFSET') })
  const none = await run('dead-letters', 'list', 'shipping', 'orders')
  expect(none).toEqual({ code: 0, stdout: '', stderr: 'No dead letters.\n' })
})

test('[CLI-15] a replay shows, and sends with --execute; what was sent is not sent again unless asked', async () => {
  const shown = await run('dead-letters', 'replay', 'billing', 'orders')
  expect(shown).toMatchObject({ code: 0, stderr: 'Nothing was sent; --execute does it.\n' })
  expect(shown.stdout).toMatch(/0:0.*\n.*0:1/)
  const choice = ['billing', 'orders', '--letter', '0:0', '--execute']
  expect(await json('dead-letters', 'replay', ...choice)).toMatchObject({ executed: true, letters: [{ offset: 0 }] })
  expect(await valuesOf('orders')).toEqual(['fine', 'no stock', 'no street', 'fine too', 'no stock'])
  expect(await json('dead-letters', 'list', 'billing', 'orders')).toMatchObject([{ offset: 1 }])
  expect(await json('dead-letters', 'list', 'billing', 'orders', '--all')).toMatchObject([
    { offset: 0, isReplayed: true },
    { offset: 1, isReplayed: false },
  ])
  expect(await json('dead-letters', 'replay', ...choice)).toEqual({ executed: true, letters: [] })
  expect((await json('dead-letters', 'replay', ...choice, '--again')).letters).toHaveLength(1)
  expect((await valuesOf('orders')).slice(5)).toEqual(['no stock'])
})
