/** Every program, command and page in README.md, docs/CLIENT.md and docs/TABLES.md runs as it stands, beside a real relay. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRelay, type Relay } from '../../server/relay.ts'
import { type Chromium, startChromium } from '../support/chromium.ts'
import { eventually } from '../support/eventually.ts'
import { type PageServer, startPageServer } from '../support/page-server.ts'

const run = promisify(execFile)
const root = new URL('../../', import.meta.url).pathname
const folder = join(root, '.cache/snippets')
const DEFAULT_ADDRESS = '127.0.0.1:8092'

interface Block {
  page: string
  language: string
  code: string
  /** What a ```text block right behind it says that is printed. */
  prints: string | undefined
}

function blocksOf(page: string): Block[] {
  const text = readFileSync(join(root, page), 'utf8')
  const found = [...text.matchAll(/```(\w+)\n([\s\S]*?)```\n(?:\n```text\n([\s\S]*?)```)?/g)]
  return found.map(([, language, code, prints]) => ({ page, language: language!, code: code!, prints }))
}

const blocks = ['README.md', 'docs/CLIENT.md', 'docs/TABLES.md', 'docs/DOCUMENTS.md'].flatMap(blocksOf)
const isServedElsewhere = ({ code }: Block) => /npm ci|npm start|ottla -- serve/.test(code)
const programs = blocks.filter(({ language, code }) => language === 'js' && !code.includes('http://'))
const modules = blocks.filter(({ language, code }) => language === 'js' && code.includes('http://'))
const commands = blocks.filter((block) => block.language === 'sh' && !isServedElsewhere(block))
const pages = blocks.filter(({ language }) => language === 'html')

test('the commands that the README begins with build what its programs import', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const name of ['start', 'ottla']) expect(scripts[name]).toMatch(/ensure-built\.mjs [a-z ]*\blib\b/)
})

describe('snippets', () => {
  let relay: Relay
  let dataDir: string
  let host: PageServer
  let chromium: Chromium
  beforeAll(async () => {
    mkdirSync(folder, { recursive: true })
    dataDir = mkdtempSync(join(tmpdir(), 'ottla-test-'))
    host = await startPageServer()
    relay = await createRelay({
      config: { httpPort: 0, dataDir, allowOrigins: [host.origin] },
      webDir: join(root, 'dist/web'),
    })
    chromium = await startChromium()
  })
  afterAll(async () => {
    await chromium?.close()
    await relay?.close()
    await host?.close()
    rmSync(dataDir, { recursive: true, force: true })
  })

  const here = (code: string) => code.replaceAll(DEFAULT_ADDRESS, new URL(relay.http.url).host)

  test('there are some of each kind', () => {
    expect([programs.length, modules.length, commands.length, pages.length].every((count) => count > 0)).toBe(true)
  })

  // In the order of the pages: a command makes the topic that a program uses.
  for (const [index, block] of [...commands, ...programs].entries()) {
    test(`${block.page}: ${block.code.trim().split('\n')[0]}`, async () => {
      const environment = { ...process.env, OTTLA_URL: relay.websocket.url }
      const file = join(folder, `${index}.mjs`)
      if (block.language === 'js') writeFileSync(file, here(block.code))
      const [program, args] = block.language === 'js' ? [process.execPath, [file]] : ['sh', ['-ec', here(block.code)]]
      const { stdout } = await run(program, args, { cwd: root, env: environment, timeout: 25_000 })
      if (block.prints !== undefined) expect(stdout.trim()).toBe(block.prints.trim())
    })
  }

  for (const block of pages) {
    test(`${block.page}: the page, from another origin`, async () => {
      host.serve('/orders.html', here(block.code))
      const page = await chromium.open(`${host.origin}/orders.html`)
      await page.click('#order')
      await eventually(async () => (await page.textContent('#state'))?.includes('offset'), { withinMs: 15_000 })
      await eventually(async () => (await page.textContent('#orders'))?.includes('ada: tea'), { withinMs: 15_000 })
    })
  }

  for (const [index, block] of modules.entries()) {
    test(`${block.page}: ${block.code.trim().split('\n')[0]}`, async () => {
      const path = `/module-${index}.html`
      const code = here(block.code).replace('console.log(', 'document.body.append(')
      host.serve(path, `<!doctype html><link rel="icon" href="data:,"><body><script type="module">${code}</script>`)
      const page = await chromium.open(`${host.origin}${path}`)
      await eventually(async () => ((await page.textContent('body')) ?? '').length > 0, { withinMs: 15_000 })
    })
  }
})
