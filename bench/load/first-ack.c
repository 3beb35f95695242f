// The first acknowledged durable publish: connect, make or find the topic, publish one record, print the instant
// (monotonic nanoseconds) of its acknowledgement. The harness knows when it started the server.
#include <stdio.h>

#include "load.h"

void run_first_ack(void) {
  static struct session publisher;
  uint64_t deadline = now_ns() + options.duration_ns;
  session_open(&publisher, PUBLISHER, 0);
  session_await_ready(&publisher);
  uint64_t ready = now_ns();
  if (protocol->publish(&publisher, 0, 1) != 1) fail("the first publish was not taken");
  conn_flush(&publisher.conn);
  while (totals.acked < 1 && !totals.errors && now_ns() < deadline) loop_step(NS_PER_MS, NULL);
  if (totals.acked < 1) fail("no acknowledgement");
  printf("{\"event\":\"first-ack\",\"sessionReadyNs\":%llu,\"ackedNs\":%llu,\"errors\":%llu}\n", (unsigned long long)ready,
         (unsigned long long)now_ns(), (unsigned long long)totals.errors);
}
