/**
 * Makes the topics that this page writes to, as soon as the relay can be asked. A write to a topic that is not there
 * yet waits in the outbox meanwhile; if the relay refuses the topic, the outbox parks the write and says why.
 */
import type { Ottla } from '../worker/index.ts'

export interface TopicMaker {
  /** Makes sure that the topic exists, now or when the connection is back. */
  want(topic: string): void
}

export function openTopicMaker(ottla: Pick<Ottla, 'admin' | 'status' | 'onStatus'>): TopicMaker {
  const wanted = new Set<string>()
  const made = new Set<string>()
  let isAsking = false

  const make = async () => {
    if (isAsking || wanted.size === 0 || ottla.status.connection.phase !== 'live') return
    isAsking = true
    const names = [...wanted]
    wanted.clear()
    try {
      await ottla.admin.createTopics(
        names.map((name) => ({ name })),
        { ifNotExists: true },
      )
      for (const name of names) made.add(name)
    } catch (error) {
      // Lost on the way: asked again. Refused: the next write asks again, and the outbox tells what became of it.
      if ((error as { retriable?: boolean }).retriable) for (const name of names) wanted.add(name)
    } finally {
      isAsking = false
    }
  }
  ottla.onStatus(() => void make())
  return {
    want(topic) {
      if (made.has(topic)) return
      wanted.add(topic)
      void make()
    },
  }
}
