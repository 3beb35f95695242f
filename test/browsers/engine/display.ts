/** A screen in memory for browsers that have no headless mode: one Xvfb for all that this process starts. */
import { type ChildProcess, spawn } from 'node:child_process'

let screen: Promise<string> | undefined

/** The value for DISPLAY. */
export function display(): Promise<string> {
  screen ??= startScreen()
  return screen
}

function startScreen(): Promise<string> {
  // It picks a free number itself and says so on descriptor 3.
  const args = ['-displayfd', '3', '-screen', '0', '1280x800x24', '-nolisten', 'tcp']
  const child: ChildProcess = spawn('Xvfb', args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] })
  process.once('exit', () => child.kill('SIGKILL'))
  child.unref()
  return new Promise((resolve, reject) => {
    let said = ''
    child.once('error', (error) => reject(new Error(`Xvfb did not start (apt-get install xvfb): ${error.message}`)))
    child.once('exit', (code) => reject(new Error(`Xvfb ended with ${code}: ${said}`)))
    child.stderr?.on('data', (piece: Buffer) => {
      said = (said + piece).slice(-2_000)
    })
    child.stdio[3]?.once('data', (piece: Buffer) => resolve(`:${String(piece).trim()}`))
  })
}
