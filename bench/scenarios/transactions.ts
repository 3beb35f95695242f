/** Transactions of Kafka's own producer on the relay beside Apache Kafka. */
import { join } from 'node:path'
import { javaTool, kafkaPrograms, makeTopic, residentMib } from '../harness/kafka.ts'
import type { Metrics, Scenario } from '../harness/scenario.ts'
import { contendersOf, KAFKA, KAFKA_FSYNC, OTTLA } from './kafka-contenders.ts'

const PARTITIONS = 3
const RECORD_BYTES = 100

function transactionsOf(records: 1 | 10 | 100): Scenario {
  return {
    name: `kafka-transactions-${records}`,
    title: `Transactions of ${records === 1 ? 'one record' : `${records} records`} of 100 B over 3 partitions`,
    method:
      'One producer of Kafka 4.3.1 in a JVM, one transaction after another, from its beginning to the answer of its commit. 12 s, of which the first 4 are not counted. The relay has record, decision and marker on disk before it answers; Kafka is measured as it comes (no fsync) and with an fsync for each batch.',
    columns: [
      { metric: 'transactionsPerS', title: 'transactions/s', digits: 0 },
      { metric: 'p50Ms', title: 'p50 ms', digits: 2 },
      { metric: 'p99Ms', title: 'p99 ms', digits: 2 },
      { metric: 'brokerCpuMs', title: 'broker CPU ms each', digits: 3 },
      { metric: 'residentMib', title: 'broker MiB after', digits: 0 },
      { metric: 'othersCores', title: "others' cores", digits: 2 },
    ],
    contenders: contendersOf(async (broker, { quick }) => {
      await makeTopic(broker, 'paid', PARTITIONS)
      const [seconds, uncounted] = quick ? [4, 2] : [12, 4]
      const run = await javaTool(broker, join(kafkaPrograms, 'Transactions.java'), [
        ...[broker.address, 'paid', String(PARTITIONS), String(records), String(RECORD_BYTES)],
        ...[String(seconds), String(uncounted)],
      ])
      const report = run.output.split('\n').find((line) => line.startsWith('{'))
      if (!report) throw new Error(run.output)
      const metrics = JSON.parse(report) as Metrics
      const all = metrics.transactionsPerS! * seconds
      return {
        ...metrics,
        ...{ brokerCpuMs: (run.brokerCpuS * 1000) / all, residentMib: residentMib(broker) },
        othersCores: run.othersCores,
      }
    }, true),
    aims: [
      {
        text: "no fewer than Kafka's with fsync",
        metric: 'transactionsPerS',
        ...{ of: OTTLA, to: KAFKA_FSYNC, atLeast: 1 },
      },
      { text: "no fewer than Kafka's without fsync", metric: 'transactionsPerS', of: OTTLA, to: KAFKA, atLeast: 1 },
    ],
  }
}

export const transactionScenarios: Scenario[] = [transactionsOf(1), transactionsOf(10), transactionsOf(100)]
