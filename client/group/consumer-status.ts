/** What a status line shows of a consumer. Plain data. */
import type { ErrorInfo } from '../errors.ts'
import type { AssignedPartition, Failing } from './assigned-partition.ts'
import type { TopicPartition } from './topic-partition.ts'

export interface PartitionStatus extends TopicPartition {
  /** 'starting': its position is being looked up; 'failing': a record is tried again, or waits for `resume`. */
  state: 'starting' | 'reading' | 'paused' | 'failing'
  /** The offset after what is done; -1 while starting. */
  position: number
  committed: number
  /** Where the log ends as last heard; -1 before. */
  end: number
  /** Records and holes between position and end. */
  lag: number
  failure: { offset: number; attempts: number; message: string; retryAtMs: number | null } | null
}

export interface ConsumerStatus {
  group: string
  /** 'joining': not in the group, or the group divides its partitions anew; what is kept is read on meanwhile. */
  state: 'joining' | 'reading' | 'closed'
  memberId: string
  /** -1 while it is in none. */
  generation: number
  /** This member divides the partitions. */
  isLeader: boolean
  partitions: PartitionStatus[]
  error: ErrorInfo | null
}

export function partitionStatus(partition: AssignedPartition): PartitionStatus {
  const { topic, partition: number, isOpen, isPaused, failing, processedTo, committedTo, endOffset } = partition
  return {
    ...{ topic, partition: number },
    state: !isOpen ? 'starting' : failing ? 'failing' : isPaused ? 'paused' : 'reading',
    ...{ position: processedTo, committed: committedTo, end: endOffset },
    lag: Math.max(0, endOffset - processedTo),
    failure: failing ? failureStatus(failing) : null,
  }
}

function failureStatus({ offset, attempts, error, retryAtMs }: Failing): PartitionStatus['failure'] {
  return { offset, attempts, retryAtMs, message: error instanceof Error ? error.message : String(error) }
}
