/** Channels as pages hold them, over a real relay. */
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'

import { type Channel, connect, type Ottla } from '../../../client/index.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'

let relay: Relay
let files: MemoryFiles
const start = (httpPort = 0) => createRelay({ files, config: { dataDir: 'data', httpPort } })

beforeEach(async () => {
  files = new MemoryFiles()
  relay = await start()
})

afterEach(() => relay.close())

async function client(): Promise<Ottla> {
  const ottla = await connect(relay.websocket.url, { backoff: { delayMsFirst: 20, delayMsMax: 100 } })
  onTestFinished(() => ottla.close())
  return ottla
}

interface Who {
  name: string
  typing?: boolean
}

const open = (ottla: Ottla, name: string) => ottla.channel<Who, string>('notes', 'n1', { state: { name } })
const names = ({ others }: Channel<Who, string>) => others.map(({ state }) => state?.name).sort()

test('[CHN-1] pages see who is there, what they say, and who has gone', async () => {
  const [one, two] = [await client(), await client()]
  await one.admin.createTopics([{ name: 'notes' }])
  const ada = await open(one, 'Ada')
  const bob = await open(two, 'Bob')
  const happened: string[] = []
  ada.onJoin(({ state }) => happened.push(`${state?.name} came`))
  ada.onChange(({ state }) => happened.push(`${state?.name} ${state?.typing ? 'types' : 'rests'}`))
  ada.onLeave(({ state }) => happened.push(`${state?.name} left`))
  ada.onMessage((message) => happened.push(message))
  await eventually(() => names(ada).length === 1 && names(bob).length === 1, { what: 'both are there' })
  bob.setState({ name: 'Bob', typing: true })
  await eventually(() => happened.length === 2, { what: 'Bob types' })
  await bob.send('hello')
  await bob.close()
  await eventually(() => happened.length === 4, { what: 'Bob left' })
  expect(happened).toEqual(['Bob came', 'Bob types', 'hello', 'Bob left'])
  await expect(bob.send('x')).rejects.toMatchObject({ code: 'CLOSED' })
})

test('[CHN-7] after the relay has been away everybody is there again, with the state of now', async () => {
  const [one, two] = [await client(), await client()]
  await one.admin.createTopics([{ name: 'notes' }])
  const [ada, bob] = [await open(one, 'Ada'), await open(two, 'Bob')]
  await eventually(() => names(ada).length === 1 && names(bob).length === 1, { what: 'both are there' })
  const port = Number(new URL(relay.http.url).port)
  await relay.close()
  await eventually(() => !ada.isConnected && ada.others.length === 0, { what: 'nobody is known to be there' })
  await expect(ada.send('x')).rejects.toMatchObject({ code: 'DISCONNECTED' })
  ada.setState({ name: 'Ada L.' })
  relay = await start(port)
  await eventually(() => names(bob)[0] === 'Ada L.' && names(ada)[0] === 'Bob', { what: 'both are there again' })
})

test('[CHN-8] of a thousand states the last arrives', async () => {
  const [one, two] = [await client(), await client()]
  await one.admin.createTopics([{ name: 'notes' }])
  const [ada, bob] = [await open(one, 'Ada'), await open(two, 'Bob')]
  const errors: unknown[] = []
  bob.onError((error) => errors.push(error))
  await eventually(() => ada.others.length === 1, { what: 'Bob is there' })
  let heard = 0
  ada.onChange(() => heard++)
  for (let count = 0; count < 1000; count++) bob.setState({ name: `Bob ${count}` })
  await eventually(() => names(ada)[0] === 'Bob 999', { what: 'the last state' })
  expect(heard).toBeLessThan(300)
  expect(errors).toEqual([])
})

test('[CHN-9] a channel that closes leaves at once; one of an unknown topic says so and goes on asking', async () => {
  const [one, two] = [await client(), await client()]
  const codes: string[] = []
  const ada = await open(one, 'Ada')
  ada.onError(({ code }) => codes.push(code))
  await eventually(() => codes.length > 0, { what: 'the topic is missing' })
  expect(codes[0]).toBe('UNKNOWN_TOPIC')
  await two.admin.createTopics([{ name: 'notes' }])
  await eventually(() => ada.isConnected, { what: 'Ada is in' })
  const bob = await open(two, 'Bob')
  await eventually(() => names(ada).length === 1, { what: 'Bob is there' })
  await two.close()
  await eventually(() => names(ada).length === 0, { what: 'Bob is gone' })
  expect(bob.isConnected).toBe(false)
})

test('[CHN-10] handles of one core are members of their own, and hear each other', async () => {
  const one = await client()
  await one.admin.createTopics([{ name: 'notes' }])
  const [ada, bob] = [await open(one, 'Ada'), await open(one, 'Bob')]
  const heard: string[] = []
  ada.onMessage((message) => heard.push(`Ada heard ${message}`))
  bob.onMessage((message) => heard.push(`Bob heard ${message}`))
  await eventually(() => names(ada)[0] === 'Bob' && names(bob)[0] === 'Ada', { what: 'both are there' })
  await bob.send('hello')
  await eventually(() => heard.length > 0, { what: 'a message' })
  expect(heard).toEqual(['Ada heard hello'])
})
