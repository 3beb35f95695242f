// Produce to durable acknowledgement.
//
// sat: several connections, each with up to `inflight` batches under way, the same bytes each time so that the
// client costs next to nothing. rate: one connection, open loop, one record at each due instant; latency runs from
// there to its acknowledgement.
// With --bytes the run ends when that much has been acknowledged, which fills a topic for other scenarios; no two batches
// are the same then.
#include <stdio.h>
#include <stdlib.h>

#include "load.h"

static struct session *producers;
static int publishing;
static uint64_t started_ns;

static uint64_t due_at(uint64_t n) { return started_ns + (uint64_t)((double)n * 1e9 / options.rate); }

static void publish_blocks(void) {
  if (!publishing) return;
  for (int i = 0; i < options.producers; i++) {
    uint32_t taken;
    if (producers[i].conn.state != CONN_OPEN) continue;
    while ((taken = protocol->publish_block(&producers[i])) > 0) totals.published += taken;
    conn_flush(&producers[i].conn);
  }
}

static void publish_due(void) {
  struct session *s = &producers[0];
  while (publishing && s->conn.state == CONN_OPEN && due_at(totals.published) <= now_ns()) {
    uint32_t at = s->pending_tail;
    if (protocol->publish(s, totals.published, 1) == 0) break;
    // The wait for a free place counts: the record was sent when it was due.
    s->pending[at % PENDING_MAX].sent_ns = due_at(totals.published);
    totals.published++;
  }
  conn_flush(&s->conn);
}

static void step(void) {
  if (options.rate <= 0) {
    loop_step(NS_PER_MS, publish_blocks);
    return;
  }
  uint64_t now = now_ns(), due = due_at(totals.published);
  loop_step(due <= now ? 0 : due - now < NS_PER_MS ? due - now : NS_PER_MS, publish_due);
}

static void report(double seconds, uint64_t acked, uint64_t bytes, double server, double self, double busy) {
  printf("{\"event\":\"produce\",\"seconds\":%.4f,\"acked\":%llu,\"ackedPerS\":%.1f,\"mbPerS\":%.2f,"
         "\"serverCores\":%.4f,\"serverCpuPerM\":%.5f,\"clientCores\":%.4f,\"othersCores\":%.3f,\"p50Ms\":%.4f,"
         "\"p99Ms\":%.4f,\"maxMs\":%.4f,\"unacked\":%llu,\"errors\":%llu}\n",
         seconds, (unsigned long long)acked, (double)acked / seconds, (double)bytes / seconds / 1e6, server / seconds,
         acked ? server / (double)acked * 1e6 : 0, self / seconds, (busy - server - self) / seconds,
         (double)histogram_percentile(&ack_latency, 0.5) / 1e6, (double)histogram_percentile(&ack_latency, 0.99) / 1e6,
         (double)ack_latency.max / 1e6, (unsigned long long)(totals.published - totals.acked),
         (unsigned long long)totals.errors);
}

void run_produce(void) {
  producers = calloc((size_t)options.producers, sizeof *producers);
  if (!producers) fail("no memory for %d producers", options.producers);
  session_open(&producers[0], PUBLISHER, 0);
  session_await_ready(&producers[0]);
  for (int i = 1; i < options.producers; i++) {
    session_open(&producers[i], PUBLISHER, i);
    session_await_ready(&producers[i]);
  }
  started_ns = now_ns();
  publishing = 1;
  while (now_ns() < started_ns + options.warm_ns) step();
  uint64_t acked = totals.acked, bytes = totals.acked_bytes, began = now_ns();
  double server = cpu_seconds_of(options.server_pid), self = cpu_seconds_self(), busy = cpu_seconds_busy();
  measuring = 1;
  while (options.bytes ? totals.acked_bytes < options.bytes && !totals.errors : now_ns() < began + options.duration_ns) step();
  measuring = 0;
  double seconds = (double)(now_ns() - began) / 1e9;
  acked = totals.acked - acked;
  bytes = totals.acked_bytes - bytes;
  server = cpu_seconds_of(options.server_pid) - server;
  self = cpu_seconds_self() - self;
  busy = cpu_seconds_busy() - busy;
  publishing = 0;
  uint64_t deadline = now_ns() + options.drain_ns;
  while (totals.acked < totals.published && now_ns() < deadline) loop_step(NS_PER_MS, NULL);
  report(seconds, acked, bytes, server, self, busy);
}
