// Idle connections: opens N subscribers of one topic without data, says so, and holds them until standard input
// ends. The harness reads the server's memory before and meanwhile.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <poll.h>

#include "load.h"

void run_idle(void) {
  struct session creator, *subscribers = calloc((size_t)options.subscribers, sizeof *subscribers);
  if (!subscribers) fail("no memory for %d subscribers", options.subscribers);
  session_open(&creator, PUBLISHER, 1000000);
  session_await_ready(&creator);
  printf("{\"event\":\"created\"}\n");
  fflush(stdout);
  uint64_t began = now_ns();
  double before = cpu_seconds_of(options.server_pid);
  char byte;
  if (read(0, &byte, 1) <= 0) return;
  began = now_ns();
  before = cpu_seconds_of(options.server_pid);
  sessions_open_all(subscribers, SUBSCRIBER, options.subscribers);
  double seconds = (double)(now_ns() - began) / 1e9;
  printf("{\"event\":\"idle\",\"subscribers\":%d,\"seconds\":%.4f,\"serverCpuUsPerConnection\":%.2f}\n",
         options.subscribers, seconds, (cpu_seconds_of(options.server_pid) - before) * 1e6 / options.subscribers);
  fflush(stdout);
  struct pollfd input = {.fd = 0, .events = POLLIN};
  while (poll(&input, 1, 0) == 0) loop_step(20 * NS_PER_MS, NULL);
  printf("{\"event\":\"done\",\"errors\":%llu}\n", (unsigned long long)totals.errors);
}
