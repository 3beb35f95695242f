import { expect, test } from 'vitest'
import { credentialFrom, type ScramMechanism } from '../../../server/auth/scram-credential.ts'
import { Users } from '../../../server/auth/users.ts'
import type { Facts } from '../../../server/engine.ts'

const nowhere: Facts = { get: () => undefined, entries: () => [], put: async () => {} }
const credential = (mechanism: ScramMechanism, iterations: number) =>
  credentialFrom(mechanism, Buffer.from('salted'), { salt: Buffer.from('salt'), iterations })

function kindsOfStrangers(users: Users) {
  const strangers = Array.from({ length: 40 }, (_, index) => `nobody ${index}`)
  const forScram = strangers.map((name) => users.forScram('SCRAM-SHA-512', name).credential.iterations)
  const forPassword = strangers.map((name) => {
    const { mechanism, credential } = users.forPassword(name)
    return `${mechanism} ${credential.iterations}`
  })
  return { forScram: [...new Set(forScram)].sort(), forPassword: [...new Set(forPassword)].sort() }
}

test('[SAS-8] who is not there takes as many rounds as somebody who is, so that neither answer nor time tells', async () => {
  const users = new Users(nowhere, new Map(), Buffer.from('secret'))
  expect(kindsOfStrangers(users)).toEqual({ forScram: [4096], forPassword: ['SCRAM-SHA-256 4096'] })
  await users.change('carol', () => ({ 'SCRAM-SHA-512': credential('SCRAM-SHA-512', 8192) }))
  expect(kindsOfStrangers(users)).toEqual({ forScram: [8192], forPassword: ['SCRAM-SHA-512 8192'] })
  await users.change('dave', () => ({
    'SCRAM-SHA-256': credential('SCRAM-SHA-256', 5000),
    'SCRAM-SHA-512': credential('SCRAM-SHA-512', 6000),
  }))
  expect(kindsOfStrangers(users)).toEqual({
    forScram: [6000, 8192],
    forPassword: ['SCRAM-SHA-256 5000', 'SCRAM-SHA-512 8192'],
  })
  const { salt } = users.forScram('SCRAM-SHA-512', 'nobody').credential
  expect(users.forScram('SCRAM-SHA-512', 'nobody').credential.salt).toEqual(salt)
})
