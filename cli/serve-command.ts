/** Words and flags of `ottla serve`, made from the relay's table of options. */

import { environmentName, relayOptionKeys, relayOptionTable } from '../server/config.ts'
import type { Command, Flag } from './command.ts'

const optionFlags: Flag[] = relayOptionKeys
  .filter((key) => key !== 'dataDir')
  .map((key) => {
    const { name, doc, unit, type, defaultValue, format } = relayOptionTable[key] as {
      name: string
      doc: string
      unit?: string
      type: string
      defaultValue: unknown
      format(value: unknown): string
    }
    const placeholder =
      unit?.toUpperCase() ?? { int: 'N', long: 'N', boolean: 'BOOL', string: 'TEXT', list: 'LIST' }[type]
    const shown = format(defaultValue)
    return { name, value: placeholder, doc: `${doc} [${environmentName(name)}]`, ...(shown ? { default: shown } : {}) }
  })

export const serveCommand: Command = {
  name: 'serve',
  summary: 'Run a relay.',
  detail:
    'Keeps the log in a folder and serves WebSocket clients and the page. Prints one line when it is ready. ' +
    'Every flag can be set by the environment variable in brackets or in a --config file; flags win over variables, ' +
    "variables over the file. Defaults of topics are set with Kafka's names, such as --topic-default " +
    'log.retention.ms=86400000 or OTTLA_LOG_RETENTION_MS.',
  positionals: [],
  flags: [
    {
      name: 'data',
      short: 'd',
      value: 'DIR',
      doc: `${relayOptionTable.dataDir.doc} [OTTLA_DATA_DIR]`,
      default: './ottla-data',
    },
    { name: 'data-dir', value: 'DIR', doc: 'The same as --data.' },
    { name: 'config', short: 'c', value: 'FILE', doc: 'JSON, or a Kafka server.properties file. [OTTLA_CONFIG]' },
    { name: 'topic-default', value: 'NAME=VALUE', repeatable: true, doc: 'Default configuration of topics.' },
    ...optionFlags,
  ],
  examples: [
    'ottla serve',
    'ottla serve --data /var/lib/ottla --host 0.0.0.0 --allow-origins https://example.org',
    'ottla serve --http-port 0 --log-format json',
    'OTTLA_LOG_RETENTION_MS=86400000 ottla serve --config server.properties',
  ],
  load: async () => (await import('./serve.ts')).serve,
}
