// Catch-up of one subscriber: subscribes at the first offset of a topic that is already full, and reads to its end.
// The end is the relay's own marker (Ottla) or the number of records asked for by --window (JetStream).
#include <stdio.h>

#include "load.h"

void run_catch_up(void) {
  static struct session finder, subscriber;
  session_open(&finder, PUBLISHER, 1000000);
  session_await_ready(&finder);
  uint64_t began = now_ns(), deadline = began + options.duration_ns;
  double server = cpu_seconds_of(options.server_pid), self = cpu_seconds_self(), busy = cpu_seconds_busy();
  measuring = 1;
  session_open(&subscriber, SUBSCRIBER, 0);
  uint64_t expected = options.window > 0 ? (uint64_t)options.window : UINT64_MAX;
  while (!subscriber.at_tail && subscriber.received < expected && now_ns() < deadline && !totals.errors) {
    loop_step(NS_PER_MS, NULL);
  }
  double seconds = (double)(now_ns() - began) / 1e9;
  server = cpu_seconds_of(options.server_pid) - server;
  self = cpu_seconds_self() - self;
  busy = cpu_seconds_busy() - busy;
  int complete = subscriber.at_tail || subscriber.received >= expected;
  printf("{\"event\":\"catch-up\",\"complete\":%s,\"seconds\":%.5f,\"records\":%llu,\"bytes\":%llu,\"mbPerS\":%.2f,"
         "\"recordsPerS\":%.1f,\"serverCores\":%.4f,\"clientCores\":%.4f,\"othersCores\":%.3f,\"gaps\":%llu,"
         "\"errors\":%llu,\"crcChecked\":%llu}\n",
         complete ? "true" : "false", seconds, (unsigned long long)subscriber.received,
         (unsigned long long)subscriber.bytes, (double)subscriber.bytes / seconds / 1e6,
         (double)subscriber.received / seconds, server / seconds, self / seconds, (busy - server - self) / seconds,
         (unsigned long long)totals.gaps, (unsigned long long)totals.errors, (unsigned long long)totals.crc_checked);
}
