/** Signing in to the page that a relay serves, at the width of a phone, in Chromium. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { connect } from '../../client/node.ts'
import { setPageStage, shows } from '../support/page-stage.ts'

test('[PAGE-3] who is asked for signs in, is told why not, sees and writes, and leaves nothing behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ottla-users-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const usersFile = join(folder, 'users')
  await writeFile(usersFile, 'ada:wonderland\nbob:other\n', { mode: 0o600 })
  const config = { usersFile, saslEnabledMechanisms: ['SCRAM-SHA-256' as const], autoCreateTopics: true }
  const stage = await setPageStage('web', { config })
  onTestFinished(() => stage.close())
  const page = await stage.open('#/write')
  const dialog = page.getByRole('dialog', { name: 'Sign in' })
  const signIn = async (user: string, password: string) => {
    await dialog.getByLabel('User').fill(user)
    await dialog.getByLabel('Password', { exact: true }).last().fill(password)
    await dialog.getByRole('button', { name: 'Sign in' }).click()
  }
  await dialog.waitFor({ timeout: 20_000 })
  if (process.env.OTTLA_SCREENSHOT) await page.screenshot({ path: process.env.OTTLA_SCREENSHOT })
  const width = await page.evaluate(() => document.documentElement.scrollWidth)
  expect(width).toBeLessThanOrEqual(390)

  await dialog.getByRole('button', { name: 'Sign in' }).click()
  await shows(page, /These are no credentials: the username is missing/)
  await signIn('ada', 'wrong')
  await dialog.getByRole('alert').getByText(/./).waitFor({ timeout: 20_000 })
  await dialog.getByRole('button', { name: 'Not now' }).click()
  await page.locator('.badge[data-state="needs-auth"]').click()
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
  await signIn('ada', 'wonderland')
  await page.locator('.badge[data-state="live"]').waitFor({ timeout: 20_000 })
  await dialog.waitFor({ state: 'hidden' })
  await shows(page, 'This device keeps what ada has read and written.')
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))
  expect(kept).toContain('ada')
  expect(kept).not.toContain('wonderland')
  const ada = await connect(stage.relay.websocket.url, { auth: { username: 'ada', password: 'wonderland' } })
  await ada.topic('notes').send({ value: Uint8Array.of(1) }).committed
  await ada.close()

  // Whoever else comes has to wait until ada has left.
  const other = await stage.open('#/connection')
  await other.locator('.badge[data-state="live"]').waitFor({ timeout: 20_000 })
  await other.close()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('dialog', { name: 'Sign out?' }).getByRole('button', { name: 'Sign out' }).click()
  await dialog.waitFor({ timeout: 20_000 })
  expect(await page.evaluate(() => localStorage.getItem('ottla-page:user'))).toBeNull()
  await page.evaluate(() => localStorage.setItem('ottla-page:user', 'ada'))
  await signIn('bob', 'other')
  await shows(page, /This device keeps what ada has read and written. Sign ada out first/)
  await page.evaluate(() => localStorage.removeItem('ottla-page:user'))
  await signIn('bob', 'other')
  await page.locator('.badge[data-state="live"]').waitFor({ timeout: 20_000 })
  await dialog.waitFor({ state: 'hidden' })
  await page.close()
}, 120_000)
