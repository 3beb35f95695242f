/** The relay and Apache Kafka, which is measured as it comes (no fsync) and, where it matters, with an fsync for each batch. */
import { type Broker, startKafka, startRelayForKafka } from '../harness/kafka.ts'
import type { Contender, Metrics, Trial } from '../harness/scenario.ts'

export const OTTLA = 'Ottla, fsync'
export const KAFKA = 'Kafka'
export const KAFKA_FSYNC = 'Kafka, flush.messages=1'

export type Work = (broker: Broker, trial: Trial) => Promise<Metrics>

export function contendersOf(work: Work, withFsync: boolean): Contender[] {
  const on = (start: (trial: Trial) => Promise<Broker>) => async (trial: Trial) => {
    const broker = await start(trial)
    try {
      return await work(broker, trial)
    } finally {
      await broker.stop()
    }
  }
  const contenders = [
    { name: OTTLA, run: on(({ directory }) => startRelayForKafka(directory)) },
    { name: KAFKA, run: on(() => startKafka()) },
  ]
  if (withFsync) contenders.push({ name: KAFKA_FSYNC, run: on(() => startKafka({ 'log.flush.interval.messages': 1 })) })
  return contenders
}
