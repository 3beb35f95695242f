/**
 * Builds what runs: `node scripts/build.mjs [cli] [web] [demo] [lib]`, everything when nothing is named.
 *
 *   lib   dist/lib/              client and relay for programs that import `ottla` in Node
 *   cli   dist/cli/ottla.js      relay and commands
 *   demo  dist/demo/flights.js   the feeder behind `npm start`
 *   web   dist/web/              the page, and client.js, worker.js and live.js for pages without a bundler (vite.config.ts)
 *   examples  dist/examples/NAME/, dist/run/example.js   the example applications, and what `npm run example` starts
 *
 * Programs are cut where they import on demand: `ottla --help` loads no relay, `ottla serve` no client. One file for
 * all was measured slower (162 against 147 ms to the ready line, 145 against 74 for help), since whatever it imports
 * from outside is loaded first. Native modules stay outside. What is left out of programs, blanks and `ws`'s own files, is a
 * quarter of the time that a relay needs to start.
 */

import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const root = fileURLToPath(new URL('..', import.meta.url))
const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
/** One copy for a program and for what it imports of ours: Yjs refuses to be there twice. */
const YJS = ['yjs', 'y-protocols/awareness', 'lib0/decoding', 'lib0/encoding']
const NATIVE = ['@node-rs/crc32', 'bufferutil', 'utf-8-validate']

/** Names stay, so that a stack trace says something. */
const WITHOUT_BLANKS = { compress: false, mangle: false, codegen: { removeWhitespace: true } }

// Node reads an ES module's file on libuv's thread pool, whose size is fixed from then on. A CommonJS file is read
// without it, so this is the last moment to ask for more threads: four are too few when an fsync may hold each.
// From Node 22.8 on, compiled code is kept beside the program.
const LAUNCHER = `#!/usr/bin/env node
require('node:module').enableCompileCache?.(__dirname + '/.compiled')
process.env.UV_THREADPOOL_SIZE ??= '8'
import('./program.mjs')
`

/** In an order in which each finds what it needs: the examples take files of the page's build. */
const targets = { cli: buildCli, demo: buildDemo, web: buildWeb, lib: buildLib, examples: buildExamples }

export async function buildTargets(names) {
  for (const name of names) await targets[name]()
}

async function buildCli() {
  await buildForNode({ program: 'cli/main.ts' }, 'dist/cli', 'ottla.js')
}

async function buildDemo() {
  const entries = { program: 'examples/flights-demo/main.ts', feeder: 'examples/flights-demo/feeder.ts' }
  await buildForNode(entries, 'dist/demo', 'flights.js')
}

async function buildExamples() {
  const entries = { program: 'examples/run/main.ts', 'dashboard-feeder': 'examples/dashboard/feeder.ts' }
  await buildForNode(entries, 'dist/run', 'example.js')
  for (const name of readdirSync(`${root}examples`)) {
    if (!existsSync(`${root}examples/${name}/main.ts`) || !existsSync(`${root}examples/${name}/index.html`)) continue
    await build({
      configFile: `${root}examples/vite.config.ts`,
      root: `${root}examples/${name}`,
      logLevel: 'warn',
      build: { outDir: `${root}dist/examples/${name}` },
    })
  }
}

async function buildLib() {
  const hooks = { react: 'client/hooks/react.ts', vue: 'client/hooks/vue.ts', svelte: 'client/hooks/svelte.ts' }
  const entries = { index: 'client/node.ts', server: 'server/index.ts', yjs: 'client/yjs/index.ts', ...hooks }
  await bundleForNode(entries, 'dist/lib', { external: [...NATIVE, 'ws', ...YJS] })
}

async function buildForNode(entries, outDir, launcherName) {
  await bundleForNode(entries, outDir, { external: NATIVE, minify: WITHOUT_BLANKS })
  writeFileSync(`${root}${outDir}/package.json`, '{ "type": "commonjs" }\n')
  writeFileSync(`${root}${outDir}/${launcherName}`, LAUNCHER)
  chmodSync(`${root}${outDir}/${launcherName}`, 0o755)
}

async function bundleForNode(entries, outDir, { external, minify = false }) {
  await build({
    configFile: false,
    root,
    logLevel: 'warn',
    define: { __OTTLA_VERSION__: JSON.stringify(version) },
    ssr: { noExternal: true, external },
    build: {
      ssr: true,
      outDir,
      emptyOutDir: true,
      target: 'node20',
      sourcemap: true,
      rolldownOptions: {
        input: entries,
        external,
        // Chunks lie beside the program, so that paths relative to `import.meta.url` hold in all of them.
        output: { entryFileNames: '[name].mjs', chunkFileNames: '[name]-[hash].mjs', minify },
      },
    },
  })
}

async function buildWeb() {
  await build({ configFile: `${root}vite.config.ts`, logLevel: 'warn' })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const named = process.argv.slice(2)
  const unknown = named.find((name) => !(name in targets))
  if (unknown) {
    console.error(`build: unknown target '${unknown}'; use ${Object.keys(targets).join(', ')}`)
    process.exit(2)
  }
  const { markBuilt, withBuildLock } = await import('./build-state.mjs')
  await withBuildLock(async () => {
    for (const name of named.length > 0 ? named : Object.keys(targets)) {
      const startedMs = Date.now()
      await buildTargets([name])
      markBuilt(name, startedMs)
    }
  })
}
