/** What an application that embeds the relay may use. */
export { type Authorizer, allowAll, type Operation, type Principal, type Resource } from './authorizer.ts'
export { type RelayConfig, relayConfigDefaults } from './config.ts'
export { createLogger, type Logger, silentLogger } from './logger.ts'
export { createRelay, type Relay, type RelayOptions } from './relay.ts'
