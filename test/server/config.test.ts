/** Configuration: sources and their order, ranges, files of a Kafka broker, topic overrides. */
import { describe, expect, test } from 'vitest'
import {
  ConfigError,
  formatTopicConfig,
  relayConfigDefaults,
  resolveRelayConfig,
  resolveTopicConfig,
  topicConfigDefinitions,
  validateTopicConfig,
} from '../../server/config.ts'

const file = (content: string, path = 'server.properties') => ({ path, content })

describe('[CFG-1] flags win over the environment, the environment over the file, the file over defaults', () => {
  const environment = { OTTLA_HTTP_PORT: '2000', OTTLA_NUM_PARTITIONS: '5' }
  const sources = { environment, file: file('http-port=1000\nnum.partitions=3\nheartbeat-ms=7000') }

  test('each source covers what the stronger ones leave open', () => {
    const { config } = resolveRelayConfig({ ...sources, flags: { 'http-port': '3000' } })
    expect(config).toMatchObject({ httpPort: 3000, numPartitions: 5, heartbeatMs: 7000, host: '127.0.0.1' })
  })

  test('flags that were not given do not count', () => {
    expect(resolveRelayConfig({ ...sources, flags: { 'http-port': undefined } }).config.httpPort).toBe(2000)
  })
})

describe('[CFG-2] a value that cannot be used is refused by key, value, source and range', () => {
  test.each([
    [{ flags: { 'http-port': '70000' } }, '--http-port on the command line', "'70000'", '0 to 65535'],
    [{ environment: { OTTLA_HTTP_PORT: 'many' } }, 'OTTLA_HTTP_PORT in the environment', "'many'", '0 to 65535'],
    [{ file: file('num.partitions=0') }, 'num.partitions in server.properties', "'0'", '1 to 10000'],
    [
      { file: file('{"autoCreateTopics": "perhaps"}', 'o.json') },
      'autoCreateTopics in o.json',
      'perhaps',
      'true or false',
    ],
    [{ environment: { OTTLA_LOG_RETENTION_MS: '-5' } }, 'OTTLA_LOG_RETENTION_MS', "'-5'", '-1'],
    [{ flags: { 'http-port': '' } }, '--http-port', "''", '0 to 65535'],
    [{ flags: { 'log-format': 'xml' } }, '--log-format', "'xml'", 'text or json'],
    [{ flags: { 'data-dir': ' ' } }, '--data-dir', "' '", 'not empty'],
    [{ flags: { 'kafka-port': 'on' } }, '--kafka-port', "'on'", '0 to 65535; auto: 9092 unless another program has it'],
    [{ file: file('advertised.listeners=kafka:9092') }, 'advertised.listeners', "'kafka:9092'", 'PLAINTEXT://'],
    [{ file: file('advertised.listeners=PLAINTEXT://0.0.0.0:9092') }, 'advertised.listeners', '0.0.0.0', 'no client'],
  ])('%j', (sources, ...parts) => {
    const resolve = () => resolveRelayConfig(sources)
    expect(resolve).toThrow(ConfigError)
    for (const part of parts) expect(resolve).toThrow(part)
  })

  test.each([
    ['auto', 'auto'],
    ['OFF', 'off'],
    ['-1', 'off'],
    [-1, 'off'],
    ['0', 0],
    [9093, 9093],
  ])('kafka-port %s', (given, means) => {
    expect(resolveRelayConfig({ flags: { 'kafka-port': given } }).config.kafkaPort).toBe(means)
  })

  test('a batch limit that no request could carry', () => {
    expect(() => resolveRelayConfig({ flags: { 'message.max.bytes': '9000000' } })).toThrow(/max-request-bytes/)
  })

  test('an unknown flag is no key to ignore', () => {
    expect(() => resolveRelayConfig({ flags: { 'log.retention.msec': '1' } })).toThrow(/log\.retention\.ms/)
  })
})

describe("[CFG-3] Kafka's server.properties is understood as far as it means something here", () => {
  const { config, ignored } = resolveRelayConfig({
    file: file(
      [
        '# The basics',
        'broker.id=0',
        'log.dirs = /tmp/kafka-logs',
        'num.partitions: 3',
        'log.retention.hours=168',
        'log.segment.bytes=1048576',
        '! another comment',
        'socket.request.max.bytes=104857600',
        'advertised.listeners=SSL://secure.example.org:9093,PLAINTEXT://[2001:db8::1]:19092',
        'connections.max.idle.ms=540000',
        'max.connections.per.ip=7',
        'log.retention.byte=1',
      ].join('\r\n'),
    ),
  })

  test('known keys take effect, hours become milliseconds', () => {
    expect(config).toMatchObject({ dataDir: '/tmp/kafka-logs', numPartitions: 3, maxRequestBytes: 104_857_600 })
    expect(config).toMatchObject({ advertisedHost: '2001:db8::1', advertisedPort: 19_092 })
    expect(config).toMatchObject({ connectionsMaxIdleMs: 540_000, maxConnectionsPerIp: 7 })
    expect(config.topicDefaults).toMatchObject({ retentionMs: 168 * 3_600_000, segmentBytes: 1_048_576 })
  })

  test('unknown keys are listed with the nearest known name', () => {
    expect(ignored).toEqual([
      { key: 'broker.id', source: 'in server.properties', nearest: undefined },
      { key: 'log.retention.byte', source: 'in server.properties', nearest: 'log.retention.bytes' },
    ])
  })

  test('JSON says the same with nested objects', () => {
    const json = file(
      '{"httpPort": 0, "log": {"retention": {"ms": -1}}, "allow-origins": ["https://a.example"]}',
      'o.json',
    )
    const resolved = resolveRelayConfig({ file: json })
    expect(resolved.config).toMatchObject({ httpPort: 0, allowOrigins: ['https://a.example'] })
    expect(resolved.config.topicDefaults.retentionMs).toBe(-1)
    expect(resolved.ignored).toEqual([])
  })

  test('JSON that is none names its file', () => {
    expect(() => resolveRelayConfig({ file: file('{"a":', 'o.json') })).toThrow(/'o\.json'.*valid JSON/)
  })

  test('-1 hours means for ever, not minus one hour', () => {
    expect(resolveRelayConfig({ file: file('log.retention.hours=-1') }).config.topicDefaults.retentionMs).toBe(-1)
  })
})

describe('[CFG-4] a topic runs with its overrides on top of the defaults of the relay', () => {
  test('overrides win, the rest comes from the relay', () => {
    const defaults = { ...relayConfigDefaults.topicDefaults, retentionMs: 5 }
    const config = resolveTopicConfig({ 'segment.bytes': '4096' }, defaults)
    expect(config).toMatchObject({ retentionMs: 5, segmentBytes: 4096, cleanupPolicy: 'delete' })
  })

  test.each([
    ['retention.ms', 'soon', /retention\.ms: 'soon'.*whole number/],
    ['segment.bytes', '99999999999', /1024 to 2147483647/],
    ['cleanup.policy', 'shred', /cleanup\.policy: 'shred'.*use delete or compact or compact,delete/],
    ['cleanup.policy', 'constructor', /use delete/],
    ['min.cleanable.dirty.ratio', '1.5', /a number from 0 to 1/],
    ['delete.retention.ms', '-1', /0 or more/],
    ['compression.type', 'gzip', /stored as they were sent/],
    ['message.timestamp.type', 'createtime', /CreateTime or LogAppendTime/],
    ['retention.mss', '1', /'retention\.mss'.*retention\.ms/],
    ['constructor', '1', /is not allowed; use one of/],
  ])('%s=%s is refused', (name, value, message) => {
    expect(() => validateTopicConfig(name, value)).toThrow(message)
  })

  test('every default lies in its own range and reads back from its text', () => {
    const config = resolveTopicConfig({})
    for (const { name, defaultValue } of topicConfigDefinitions) {
      expect(validateTopicConfig(name, formatTopicConfig(config, name)), name).toEqual(defaultValue)
    }
  })
})
