/** Bundles one entry into one ES module in memory, for a test's page or worker. */
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

/** `entry` is resolved against `from`, the caller's `import.meta.url`. */
export async function bundle(entry: string, from: string): Promise<string> {
  const output = await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      minify: false,
      target: 'es2022',
      lib: { entry: fileURLToPath(new URL(entry, from)), formats: ['es'], fileName: 'out' },
      rolldownOptions: { output: { codeSplitting: false } },
    },
  })
  const first = Array.isArray(output) ? output[0] : output
  if (!first || !('output' in first)) throw new Error(`vite gave no output for ${entry}`)
  return first.output[0].code
}
