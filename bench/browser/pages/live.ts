import type { Ottla } from '../../../client/index.ts'

/** A topic never heard of can be asked for only when the relay is there. */
export function live(ottla: Ottla): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (ottla.status.connection.phase === 'live') resolve()
    }
    ottla.onStatus(look)
    look()
  })
}
