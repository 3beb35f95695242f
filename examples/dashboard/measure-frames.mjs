/** Starts relay, feeder and a headless Chromium, waits, and prints what the page says of its frames. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const SECONDS = Number(process.argv[2] ?? 15)
const program = fileURLToPath(new URL('../../dist/run/example.js', import.meta.url))
const data = mkdtempSync(join(tmpdir(), 'ottla-dashboard-'))
const relay = spawn(process.execPath, [
  program,
  'dashboard',
  '--http-port',
  '0',
  '--kafka-port',
  'off',
  '--data',
  data,
  '--json',
])
try {
  const { http } = JSON.parse(
    await new Promise((resolve) => relay.stdout.once('data', (line) => resolve(String(line)))),
  )
  const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  await page.goto(http)
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000))
  const facts = await page.evaluate(() =>
    ['total', 'rate', 'frames', 'longest'].map((id) => `${id} ${document.querySelector(`#${id}`).textContent}`),
  )
  console.log(facts.join(', '))
  if (process.argv[3]) await page.screenshot({ path: process.argv[3] })
  await browser.close()
} finally {
  relay.kill('SIGTERM')
  await new Promise((resolve) => relay.once('exit', resolve))
  rmSync(data, { recursive: true, force: true })
}
