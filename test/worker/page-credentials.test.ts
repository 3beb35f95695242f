/** What a page signs its worker in with, over a core that is moved by hand. */
import { expect, test } from 'vitest'
import type { Status } from '../../client/core.ts'
import type { Credentials } from '../../client/sign-in/credentials.ts'
import { openWallet } from '../../client/sign-in/wallet.ts'
import { HandClock } from '../../protocol/lib/clock.ts'
import { Emitter } from '../../protocol/lib/events.ts'
import { keepSignedIn } from '../../worker/page-credentials.ts'
import { initialStatus } from '../../worker/page-status.ts'
import { eventually } from '../support/eventually.ts'

const ADA = { username: 'ada', password: 'secret' }

function pageWith(credentials: Credentials) {
  const clock = new HandClock()
  let asked = 0
  const auth = () => {
    asked++
    return credentials
  }
  const statuses = new Emitter<Status>()
  const given: Array<Credentials | undefined> = []
  let status = initialStatus('r')
  const core = {
    status: () => status,
    onStatus: (listener: (status: Status) => void) => statuses.on(listener),
    reauthenticate: async (credentials?: Credentials) => void given.push(credentials),
  }
  keepSignedIn(core, openWallet(auth), clock)
  const become = (state: Status['state']) => {
    status = { ...status, state }
    statuses.emit(status)
  }
  return { clock, given, become, asked: () => asked }
}

test('[SAS-37] the next worker is given the same credentials again, when they were taken by the last one', async () => {
  const { clock, given, become } = pageWith(ADA)
  become('needs-auth')
  await eventually(() => given.length === 1)
  become('live')
  // The worker ends; the next one has nothing to sign in with.
  become('connecting')
  clock.advance(60_000)
  become('needs-auth')
  await eventually(() => given.length === 2)
  expect(given).toEqual([ADA, ADA])
})

test('[SAS-37] what was refused is not shown again', async () => {
  const { clock, given, become, asked } = pageWith(ADA)
  for (let times = 1; times <= 3; times++) {
    become('needs-auth')
    await eventually(() => asked() === times)
    become('connecting')
    await eventually(() => clock.nextTimerAt !== undefined)
    clock.advance(60_000)
  }
  expect(given).toEqual([ADA])
})
