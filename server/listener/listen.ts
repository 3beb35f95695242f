/** Binds a port, and says who has it when it cannot be had. */
import type { Server } from 'node:net'
import type { Logger } from '../logger.ts'
import { portOwner } from './port-owner.ts'

/** Another program has the port. Its code is the system's own, so that nobody needs this class to recognise it. */
export class PortTakenError extends Error {
  override readonly name = 'PortTakenError'
  readonly code = 'EADDRINUSE'
  readonly port: number
  /** The option that chooses another. */
  readonly option: string
  /** Such as `java, process 4711`; absent where the system does not tell. */
  readonly owner: string | undefined

  constructor(port: number, option: string, owner: string | undefined) {
    super(`port ${port} is already in use${owner ? ` by ${owner}` : ''}`)
    this.port = port
    this.option = option
    this.owner = owner
  }
}

export interface Place {
  host: string
  port: number
  /** The option that `port` came from. */
  option: string
}

/** Rejects with PortTakenError, or with the system's error when the address cannot be had for another reason. */
export function listen(server: Server, { host, port, option }: Place, logger: Logger): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error)
      void portOwner(port).then((owner) => reject(new PortTakenError(port, option, owner)))
    }
    server.once('error', onError)
    server.listen(port, host, () => {
      server.off('error', onError)
      server.on('error', (error) => logger.error('listener failed', { port, error: error.message }))
      resolve()
    })
  })
}
