/**
 * How a page gets at a seat: a SharedWorker, a dedicated worker of its own, or a seat inside the page itself.
 *
 * A hung SharedWorker can't be ended from outside, and its name leads to it for as long as any page lives. So seats
 * have an epoch: the next epoch is a worker of another name. A dedicated worker of a former epoch is terminated. The
 * version is in the name too: a page that was updated must not get the worker of the tabs that were not.
 */
import { CONTRACT_VERSION, type SeatPortNote } from './contract.ts'

export type SeatKind = 'shared' | 'dedicated' | 'page'

export interface Spawner {
  readonly kind: SeatKind
  /** A port to the seat of this epoch, started if need be. `failed` is told when its script can't be run. */
  open(epoch: number, failed: (reason: string) => void): MessagePort
  /** Ends what only this page uses. Idempotent; `open` may be called again later. */
  end(): void
}

export interface SeatPlace {
  kind: SeatKind
  /** The worker's script. */
  url: URL
  /** Loads the seat that runs in the page. */
  loadInPage(): Promise<{ attach(port: MessagePort): void }>
}

export function spawnerAt({ kind, url, loadInPage }: SeatPlace, replica: string): Spawner {
  if (kind === 'shared') return sharedSpawner(url, replica)
  return kind === 'dedicated' ? dedicatedSpawner(url, replica) : pageSpawner(loadInPage)
}

function sharedSpawner(url: URL, replica: string): Spawner {
  return {
    kind: 'shared',
    open(epoch, failed) {
      const name = `ottla ${replica}${epoch === 0 ? '' : ` ~${epoch}`} v${CONTRACT_VERSION}`
      const worker = new SharedWorker(url, { type: 'module', name })
      worker.addEventListener('error', () => failed(`SharedWorker ${url} did not start`))
      return worker.port
    },
    // The browser ends it after its last page.
    end() {},
  }
}

function dedicatedSpawner(url: URL, replica: string): Spawner {
  let running: { worker: Worker; epoch: number } | undefined
  const end = () => {
    running?.worker.terminate()
    running = undefined
  }
  return {
    kind: 'dedicated',
    open(epoch, failed) {
      if (running?.epoch !== epoch) end()
      if (!running) {
        running = { worker: new Worker(importable(url), { type: 'module', name: `ottla ${replica}` }), epoch }
        running.worker.addEventListener('error', (event) => failed(event.message || `Worker ${url} did not start`))
      }
      const { port1, port2 } = new MessageChannel()
      running.worker.postMessage({ ottla: 'port', port: port2 } satisfies SeatPortNote, [port2])
      return port1
    },
    end,
  }
}

/** The seat's code is loaded only when it is really to run in the page. */
function pageSpawner(load: () => Promise<{ attach(port: MessagePort): void }>): Spawner {
  let seat: Promise<{ attach(port: MessagePort): void }> | undefined
  return {
    kind: 'page',
    open(_epoch, failed) {
      const { port1, port2 } = new MessageChannel()
      seat ??= load()
      seat.then(
        (loaded) => loaded.attach(port2),
        (error: unknown) => {
          seat = undefined
          failed(`the client's core did not load: ${error}`)
        },
      )
      return port1
    },
    end() {},
  }
}

/** A worker's script must be of the page's origin; one of another origin is imported by a small script that is. */
function importable(url: URL): URL | string {
  if (url.origin === location.origin) return url
  return URL.createObjectURL(new Blob([`import ${JSON.stringify(url.href)}`], { type: 'text/javascript' }))
}
