// ottla-load: a light load client, one thread on epoll. It prints one line of JSON for what it measured.
//
//   ottla-load MODE --protocol ottla|nats|jetstream --port N [options]
//   MODE: fan, idle, produce, catch-up, first-ack, disk
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "crc32c.h"
#include "load.h"

struct options options = {
    .protocol = "ottla", .topic = "bench", .file = "disk.tmp", .subscribers = 1, .producers = 1, .inflight = 5,
    .size = 100, .window = 256, .batch_bytes = 65536, .credit = 1 << 20, .sample = 1, .create = 1, .crc = 1,
    .warm_ns = 500 * NS_PER_MS, .duration_ns = 2 * NS_PER_S, .drain_ns = 3 * NS_PER_S,
};

enum option_id {
  PROTOCOL = 1, TOPIC, FILE_PATH, PORT, SERVER_PID, SUBSCRIBERS, PRODUCERS, IN_FLIGHT, SIZE, WINDOW, BATCH_BYTES,
  CREDIT, SAMPLE, PREALLOCATE, CREATE, CRC, RATE, WARM_MS, DURATION_MS, DRAIN_MS, BYTES
};

static const struct option table[] = {
    {"protocol", 1, 0, PROTOCOL},       {"topic", 1, 0, TOPIC},
    {"file", 1, 0, FILE_PATH},          {"port", 1, 0, PORT},
    {"server-pid", 1, 0, SERVER_PID},   {"subscribers", 1, 0, SUBSCRIBERS},
    {"producers", 1, 0, PRODUCERS},     {"in-flight", 1, 0, IN_FLIGHT},
    {"size", 1, 0, SIZE},               {"window", 1, 0, WINDOW},
    {"batch-bytes", 1, 0, BATCH_BYTES}, {"credit", 1, 0, CREDIT},
    {"sample", 1, 0, SAMPLE},           {"preallocate", 1, 0, PREALLOCATE},
    {"create", 1, 0, CREATE},           {"crc", 1, 0, CRC},
    {"rate", 1, 0, RATE},               {"warm-ms", 1, 0, WARM_MS},
    {"duration-ms", 1, 0, DURATION_MS}, {"drain-ms", 1, 0, DRAIN_MS},
    {"bytes", 1, 0, BYTES},             {0, 0, 0, 0},
};

static void take_option(int id, const char *value) {
  double number = atof(value);
  switch ((enum option_id)id) {
    case PROTOCOL: options.protocol = value; break;
    case TOPIC: options.topic = value; break;
    case FILE_PATH: options.file = value; break;
    case PORT: options.port = (int)number; break;
    case SERVER_PID: options.server_pid = (int)number; break;
    case SUBSCRIBERS: options.subscribers = (int)number; break;
    case PRODUCERS: options.producers = (int)number; break;
    case IN_FLIGHT: options.inflight = (int)number; break;
    case SIZE: options.size = (int)number; break;
    case WINDOW: options.window = (int)number; break;
    case BATCH_BYTES: options.batch_bytes = (int)number; break;
    case CREDIT: options.credit = (int)number; break;
    case SAMPLE: options.sample = (int)number; break;
    case PREALLOCATE: options.preallocate = (int)number; break;
    case CREATE: options.create = (int)number; break;
    case CRC: options.crc = (int)number; break;
    case RATE: options.rate = number; break;
    case WARM_MS: options.warm_ns = (uint64_t)(number * 1e6); break;
    case DURATION_MS: options.duration_ns = (uint64_t)(number * 1e6); break;
    case DRAIN_MS: options.drain_ns = (uint64_t)(number * 1e6); break;
    case BYTES: options.bytes = (uint64_t)number; break;
  }
}

static void check_options(void) {
  if (options.size < PAYLOAD_BYTES_MIN) fail("--size is at least %d", PAYLOAD_BYTES_MIN);
  if (options.sample < 1 || options.inflight < 1 || options.producers < 1 || options.subscribers < 1) {
    fail("--sample, --in-flight, --producers and --subscribers are at least 1");
  }
  if (options.window > PENDING_MAX && strcmp(options.mode, "fan") == 0) fail("--window is at most %d", PENDING_MAX);
}

static const struct protocol *protocol_named(const char *name) {
  const struct protocol *all[] = {&ottla, &nats, &jetstream};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (strcmp(all[i]->name, name) == 0) return all[i];
  }
  fail("no protocol %s: ottla, nats or jetstream", name);
}

/** Thousands of connections need as many descriptors: the soft limit is raised to the hard one. */
static void raise_descriptor_limit(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int count, char **arguments) {
  static const struct {
    const char *name;
    void (*run)(void);
  } modes[] = {{"fan", run_fan},           {"idle", run_idle},           {"produce", run_produce},
               {"catch-up", run_catch_up}, {"first-ack", run_first_ack}, {"disk", run_disk}};
  if (count < 2) fail("a mode: fan, idle, produce, catch-up, first-ack or disk");
  options.mode = arguments[1];
  optind = 2;
  for (int id; (id = getopt_long(count, arguments, "", table, NULL)) != -1;) {
    if (id == '?') return 2;
    take_option(id, optarg);
  }
  check_options();
  crc32c_init();
  raise_descriptor_limit();
  loop_init();
  protocol = protocol_named(options.protocol);
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    if (strcmp(modes[i].name, options.mode) == 0) {
      modes[i].run();
      return 0;
    }
  }
  fail("no mode %s", options.mode);
}
