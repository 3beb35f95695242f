/** Documents edited together: `ottla/yjs`. */
export { OttlaProvider, type ProviderEvents, type ProviderOptions } from './provider.ts'
