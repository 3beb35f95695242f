/**
 * Which connection speaks for which replica. A browser may leave a dead socket open for minutes after it has opened a
 * new one; the newer generation wins and the older connection is closed, so that one replica never reads or writes
 * through two.
 */
import { CloseCode } from '../protocol/messages/offset-protocol.ts'

export interface ReplicaConnection {
  replicaId: string | undefined
  generation: number
  close(code: number, reason: string): void
}

export class ReplicaConnections {
  readonly #byReplica = new Map<string, ReplicaConnection>()

  /** False when a newer connection of the replica is there already: this one must go. */
  claim(connection: ReplicaConnection, replicaId: string, generation: number): boolean {
    const holder = this.#byReplica.get(replicaId)
    if (holder && holder !== connection) {
      if (holder.generation > generation) return false
      holder.close(CloseCode.replaced, 'replaced by a newer connection of the same replica')
    }
    this.release(connection)
    connection.replicaId = replicaId
    connection.generation = generation
    this.#byReplica.set(replicaId, connection)
    return true
  }

  release(connection: ReplicaConnection): void {
    const { replicaId } = connection
    if (replicaId !== undefined && this.#byReplica.get(replicaId) === connection) this.#byReplica.delete(replicaId)
  }
}
