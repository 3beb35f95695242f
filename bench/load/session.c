// Sessions: opening, readiness, acknowledgements, and the count of what went wrong.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "load.h"

#define OPENING_MAX 128
#define READY_WITHIN_NS (60 * NS_PER_S)

struct totals totals;
struct histogram latency, ack_latency;
int measuring, sessions_ready, sessions_open;
const struct protocol *protocol;

static uint64_t stamp_now(uint64_t n) {
  (void)n;
  return now_ns();
}
uint64_t (*stamp_of)(uint64_t n) = stamp_now;

void fail(const char *format, ...) {
  va_list list;
  va_start(list, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, list);
  fputc('\n', stderr);
  va_end(list);
  exit(1);
}

void protocol_error(struct session *s, const char *format, ...) {
  if (totals.errors++ >= 5) return;
  va_list list;
  va_start(list, format);
  fprintf(stderr, "load: connection %d: ", s->conn.index);
  vfprintf(stderr, format, list);
  fputc('\n', stderr);
  va_end(list);
}

void session_open(struct session *s, enum role role, int index) {
  memset(s, 0, sizeof *s);
  s->role = role;
  s->conn.index = index;
  s->sampled = index % options.sample == 0;
  if (role == PUBLISHER) {
    s->pending = calloc(PENDING_MAX, sizeof *s->pending);
    if (!s->pending) fail("no memory for pending publishes");
  }
  sessions_open++;
  conn_connect(&s->conn, options.port, &protocol->handler, s);
}

void session_ready(struct session *s) {
  if (s->ready) return;
  s->ready = 1;
  sessions_ready++;
}

void session_await_ready(struct session *s) {
  uint64_t deadline = now_ns() + READY_WITHIN_NS;
  while (!s->ready) {
    if (s->conn.state == CONN_CLOSED) fail("connection %d closed before it was ready", s->conn.index);
    if (now_ns() > deadline) fail("connection %d not ready within 60 s", s->conn.index);
    loop_step(10 * NS_PER_MS, NULL);
  }
}

void sessions_open_all(struct session *s, enum role role, int count) {
  uint64_t deadline = now_ns() + READY_WITHIN_NS;
  int before = sessions_ready, opened = 0;
  while (sessions_ready - before < count) {
    while (opened < count && opened - (sessions_ready - before) < OPENING_MAX) {
      session_open(&s[opened], role, opened);
      opened++;
    }
    if (totals.errors) fail("could not open %d connections: only %d ready", count, sessions_ready - before);
    if (now_ns() > deadline) fail("only %d of %d connections ready within 60 s", sessions_ready - before, count);
    loop_step(10 * NS_PER_MS, NULL);
  }
}

void publish_sent(struct session *s, uint32_t records, uint32_t bytes) {
  s->pending[s->pending_tail++ % PENDING_MAX] = (struct pending){now_ns(), records, bytes};
  s->in_flight++;
  if (s->in_flight > PENDING_MAX) fail("more than %d publishes in flight", PENDING_MAX);
}

void publish_acked(struct session *s) {
  if (s->in_flight == 0) {
    protocol_error(s, "an acknowledgement for nothing");
    return;
  }
  struct pending p = s->pending[s->pending_head++ % PENDING_MAX];
  s->in_flight--;
  totals.acked += p.records;
  totals.acked_bytes += p.bytes;
  if (measuring) histogram_add(&ack_latency, now_ns() - p.sent_ns);
}
