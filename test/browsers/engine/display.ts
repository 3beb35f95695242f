/** A screen in memory, for a browser that has no headless mode. It ends with the browser, however that ends. */
import { spawn } from 'node:child_process'

/** The value for DISPLAY. */
export function startDisplay(): Promise<string> {
  // It picks a free number itself and says so on descriptor 3; without its last client it ends.
  const args = ['-displayfd', '3', '-terminate', '-screen', '0', '1280x800x24', '-nolisten', 'tcp']
  const child = spawn('Xvfb', args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] })
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
