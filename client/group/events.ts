/** What a consumer tells its application. */
import type { Gap } from '../record.ts'
import type { TopicPartition } from './topic-partition.ts'

export interface ConsumerEvents {
  /** Reading begins when it has resolved. */
  assigned(partitions: readonly TopicPartition[]): Promise<void>
  /** Lost: others may have them already. Otherwise they are given up when it has resolved. */
  revoked(partitions: readonly TopicPartition[], isLost: boolean): Promise<void>
  gap(gap: Gap & TopicPartition): void
  /** The status is another than before. */
  changed(): void
}
