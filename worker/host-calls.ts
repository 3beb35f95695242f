/**
 * The Core's calls as a host offers them through comlink: each ends in a Reply, none ever throws.
 *
 * Batches leave as transferred copies: the Core may still hold the bytes that it handed out (a memory store does), and
 * one plain copy is cheaper than cloning them twice.
 */
import { transfer } from 'comlink'
import type { Core, StoredChunk } from '../client/core.ts'
import { asOttlaError } from '../client/errors.ts'
import type { HostCalls, Reply } from './contract.ts'

async function reply<T>(act: () => T | Promise<T>): Promise<Reply<T>> {
  try {
    return { ok: true, value: await act() }
  } catch (thrown) {
    return { ok: false, error: asOttlaError(thrown, 'PROTOCOL').toInfo() }
  }
}

/** `channel`: as of a tab whose channels somebody keeps an eye on. */
export function hostCalls(core: Core, { channel, changeSecret }: Pick<Core, 'channel' | 'changeSecret'>): HostCalls {
  return {
    ping: () => reply(() => {}),
    topic: (name) => reply(() => core.topic(name)),
    enqueue: (write) => reply(() => core.enqueue(write)),
    enqueueTransaction: (transaction) => reply(() => core.enqueueTransaction(transaction)),
    withdraw: (id) => reply(() => core.withdraw(id)),
    outcomes: (ids) => reply(() => core.outcomes(ids)),
    progress: (query, waitMs) => reply(() => core.progress(query, waitMs)),
    channel: (ask) => reply(() => channel(ask)),
    keptDocument: (ask) => reply(() => core.keptDocument(ask)),
    openDocument: (ask) => reply(() => core.openDocument(ask)),
    replicate: (topic, policy) => reply(() => core.replicate(topic, policy)),
    stopReplicating: (topic) => reply(() => core.stopReplicating(topic)),
    pause: (pause, isPaused) => reply(() => core.pause(pause, isPaused)),
    readReplica: async (topicId, partition, offset, bytesMax) => {
      const answer = await reply(async () => {
        const chunks = await core.readReplica(topicId, partition, offset, bytesMax)
        return chunks.map((chunk): StoredChunk => ({ ...chunk, batches: chunk.batches.slice() }))
      })
      return answer.ok
        ? transfer(
            answer,
            answer.value.map((chunk) => chunk.batches.buffer),
          )
        : answer
    },
    request: (name, body, options) => reply(() => core.request(name, body, options)),
    reauthenticate: (credentials) => reply(() => core.reauthenticate(credentials)),
    changeSecret: (change) => reply(() => changeSecret(change)),
    logout: (options) => reply(() => core.logout(options)),
    wake: () => reply(() => core.wake()),
    outboxList: (topic) => reply(() => core.outbox.list(topic)),
    outboxRetry: (id) => reply(() => core.outbox.retry(id)),
    outboxDiscard: (id) => reply(() => core.outbox.discard(id)),
    outboxExport: (ids) => reply(() => core.outbox.export(ids)),
    tableOpen: (definition) => reply(() => core.tables.open(definition)),
    tableRead: (definition, read) => reply(() => core.tables.read(definition, read)),
    tableCount: (definition, selection) => reply(() => core.tables.count(definition, selection)),
  }
}
