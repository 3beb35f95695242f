/** The pages of the hooks' tests, one for each framework, bundled as an application is. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { compile } from 'svelte/compiler'
import { build, type Plugin } from 'vite'

export const FRAMEWORKS = ['react', 'preact', 'vue', 'svelte']

const repository = new URL('../../../', import.meta.url)

/** Its script is expected beside it. */
export const pageOf = (framework: string): string =>
  `<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/${framework}.js"></script>`

/** `ottla/react` and the like, to what the package gives for it in a browser. */
function packageEntries(): Array<{ find: RegExp; replacement: string }> {
  const { exports } = JSON.parse(readFileSync(new URL('package.json', repository), 'utf8')) as {
    exports: Record<string, string | { browser: string }>
  }
  return Object.entries(exports).map(([entry, file]) => ({
    find: new RegExp(`^ottla${entry.slice(1)}$`),
    replacement: fileURLToPath(new URL(typeof file === 'string' ? file : file.browser, repository)),
  }))
}

const sveltePlugin: Plugin = {
  name: 'svelte-files',
  transform: (source, id) =>
    id.endsWith('.svelte') ? { code: compile(source, { filename: id, generate: 'client' }).js.code, map: null } : null,
}

export async function pageCode(framework: string): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: 'error',
    plugins: [sveltePlugin],
    resolve: { alias: packageEntries() },
    // As in development, where React runs effects twice.
    define: { 'process.env.NODE_ENV': '"development"' },
    build: {
      write: false,
      minify: false,
      target: 'es2022',
      lib: {
        entry: fileURLToPath(new URL(`./pages/${framework}.ts`, import.meta.url)),
        formats: ['es'],
        fileName: 'out',
      },
      rolldownOptions: { output: { codeSplitting: false } },
    },
  })
  const first = [built].flat()[0]
  if (!first || !('output' in first)) throw new Error(`no output for ${framework}`)
  return first.output[0].code
}
