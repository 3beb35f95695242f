/** Yjs, loaded by relays that have documents to look into. */
export const yjs = () => import('yjs')
export const yProtocols = async () => ({
  awareness: await import('y-protocols/awareness'),
})

export type Yjs = Awaited<ReturnType<typeof yjs>>
export type YProtocols = Awaited<ReturnType<typeof yProtocols>>
