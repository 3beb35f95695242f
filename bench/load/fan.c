// Fan-out: one publisher, N subscribers, one topic.
//
// sat (no --rate): closed loop, the publisher is at most `window` records ahead of the mean subscriber, so nothing
// needs to be dropped and the largest batch is bounded alike for every server.
// rate: open loop; a record counts as sent at the instant it was due, so a client or server that falls behind shows
// it in the latency. CPU and deliveries are read at the edges of the measured window, inside the same loop.
#include <stdio.h>
#include <stdlib.h>

#include "load.h"

#define PUBLISH_MAX 4096

static struct session publisher, *subscribers;
static int publishing;
static uint64_t started_ns;

static uint64_t due_at(uint64_t n) { return started_ns + (uint64_t)((double)n * 1e9 / options.rate); }

static uint64_t room_now(void) {
  if (options.rate > 0) {
    // Number 0 is due at the start.
    uint64_t due = 1 + (uint64_t)((double)(now_ns() - started_ns) * options.rate / 1e9);
    return due > totals.published ? due - totals.published : 0;
  }
  uint64_t limit = totals.delivered / (uint64_t)options.subscribers + (uint64_t)options.window;
  return limit > totals.published ? limit - totals.published : 0;
}

static void publish_due(void) {
  if (!publishing || publisher.conn.state != CONN_OPEN) return;
  for (;;) {
    uint64_t room = room_now();
    if (room == 0) break;
    uint32_t taken = protocol->publish(&publisher, totals.published, room > PUBLISH_MAX ? PUBLISH_MAX : (uint32_t)room);
    if (taken == 0) break;
    totals.published += taken;
  }
  conn_flush(&publisher.conn);
}

static uint64_t wait_ns(void) {
  if (options.rate <= 0) return NS_PER_MS;
  uint64_t now = now_ns(), due = due_at(totals.published);
  if (due <= now) return 0;
  return due - now < NS_PER_MS ? due - now : NS_PER_MS;
}

static void run_until(uint64_t instant) {
  while (now_ns() < instant) loop_step(wait_ns(), publish_due);
}

struct edge {
  uint64_t ns, delivered, delivered_bytes, published, acked;
  double server, self, busy;
};

static struct edge edge_now(void) {
  return (struct edge){now_ns(),      totals.delivered, totals.delivered_bytes,
                       totals.published, totals.acked,  cpu_seconds_of(options.server_pid),
                       cpu_seconds_self(), cpu_seconds_busy()};
}

static uint64_t drain(void) {
  uint64_t wanted = totals.published * (uint64_t)options.subscribers, deadline = now_ns() + options.drain_ns;
  while (totals.delivered < wanted && now_ns() < deadline) loop_step(NS_PER_MS, NULL);
  return wanted > totals.delivered ? wanted - totals.delivered : 0;
}

static void report(const struct edge *a, const struct edge *b, uint64_t undelivered) {
  double seconds = (double)(b->ns - a->ns) / 1e9, delivered = (double)(b->delivered - a->delivered);
  double server = b->server - a->server, self = b->self - a->self, busy = b->busy - a->busy;
  printf("{\"event\":\"fan\",\"seconds\":%.4f,\"published\":%llu,\"publishedPerS\":%.1f,\"deliveries\":%.0f,"
         "\"deliveriesPerS\":%.1f,\"ackedPerS\":%.1f,\"serverCores\":%.4f,\"serverCpuPerM\":%.5f,\"clientCores\":%.4f,"
         "\"clientCpuPerM\":%.5f,\"othersCores\":%.3f,\"p50Ms\":%.4f,\"p99Ms\":%.4f,\"maxMs\":%.4f,\"ackP50Ms\":%.4f,"
         "\"ackP99Ms\":%.4f,\"gaps\":%llu,\"undelivered\":%llu,\"errors\":%llu,\"crcChecked\":%llu}\n",
         seconds, (unsigned long long)(b->published - a->published), (double)(b->published - a->published) / seconds,
         delivered, delivered / seconds, (double)(b->acked - a->acked) / seconds, server / seconds,
         delivered > 0 ? server / delivered * 1e6 : 0, self / seconds, delivered > 0 ? self / delivered * 1e6 : 0,
         (busy - server - self) / seconds, (double)histogram_percentile(&latency, 0.5) / 1e6,
         (double)histogram_percentile(&latency, 0.99) / 1e6, (double)latency.max / 1e6,
         (double)histogram_percentile(&ack_latency, 0.5) / 1e6, (double)histogram_percentile(&ack_latency, 0.99) / 1e6,
         (unsigned long long)totals.gaps, (unsigned long long)undelivered, (unsigned long long)totals.errors,
         (unsigned long long)totals.crc_checked);
}

void run_fan(void) {
  options.stamps = 1;
  subscribers = calloc((size_t)options.subscribers, sizeof *subscribers);
  if (!subscribers) fail("no memory for %d subscribers", options.subscribers);
  session_open(&publisher, PUBLISHER, 1000000);
  session_await_ready(&publisher);
  sessions_open_all(subscribers, SUBSCRIBER, options.subscribers);
  started_ns = now_ns();
  if (options.rate > 0) stamp_of = due_at;
  publishing = 1;
  run_until(started_ns + options.warm_ns);
  struct edge a = edge_now();
  measuring = 1;
  run_until(a.ns + options.duration_ns);
  measuring = 0;
  struct edge b = edge_now();
  publishing = 0;
  report(&a, &b, drain());
}
