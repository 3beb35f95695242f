// What the modes (fan, idle, produce, catch-up, first-ack, disk) and the protocols (Ottla, NATS, JetStream) share.
//
// A session is one connection in one role. A protocol brings it to `ready` and then reports what arrives through
// the functions at the bottom; a mode decides when to publish and when to stop. One thread, so plain counters.
// The payload of record number n is: send stamp (8 bytes), n (8 bytes), filler; so whatever arrives can be checked.
#ifndef LOAD_H
#define LOAD_H

#include <stdint.h>
#include <string.h>

#include "clock.h"
#include "histogram.h"
#include "websocket.h"

#define PAYLOAD_BYTES_MIN 16
#define PENDING_MAX 65536

struct options {
  const char *mode, *protocol, *topic, *file;
  int port, server_pid;
  int subscribers, producers, inflight;
  int size, window, batch_bytes, credit, sample, preallocate, create, crc, stamps;
  double rate;
  uint64_t warm_ns, duration_ns, drain_ns, bytes;
};
extern struct options options;

enum role { ADMIN, PUBLISHER, SUBSCRIBER };

/** A publish that has not been acknowledged. */
struct pending {
  uint64_t sent_ns;
  uint32_t records, bytes;
};

struct session {
  struct conn conn;
  enum role role;
  int step, ready, sampled, in_flight;
  /** Records received, and the number expected next. */
  uint64_t received, next;
  /** Bytes of record batches received, granted back, and whether the tail has been reached (Ottla). */
  uint64_t bytes, ungranted;
  int at_tail;
  /** Unfinished protocol text (NATS). */
  uint8_t *rest;
  size_t rest_size, rest_capacity;
  struct pending *pending;
  uint32_t pending_head, pending_tail;
};

struct protocol {
  const char *name;
  struct handler handler;
  /** Publishes up to `count` records numbered from `first`; answers how many it took. The caller flushes. */
  uint32_t (*publish)(struct session *s, uint64_t first, uint32_t count);
  /** Publishes one batch of the configured size, the same bytes each time; answers its records, 0 when full. */
  uint32_t (*publish_block)(struct session *s);
};
extern const struct protocol ottla, nats, jetstream;
extern const struct protocol *protocol;

struct totals {
  uint64_t published, acked, acked_bytes, delivered, delivered_bytes, gaps, errors, crc_checked;
};
extern struct totals totals;
extern struct histogram latency, ack_latency;
/** Latencies count only while this is set. */
extern int measuring;
extern int sessions_ready, sessions_open;

void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/** Connects one session and gives it its role. */
void session_open(struct session *s, enum role role, int index);
/** Connects `count` sessions, at most 128 at a time, and waits until all are ready. */
void sessions_open_all(struct session *s, enum role role, int count);
void session_await_ready(struct session *s);

/** The instant that record number n counts as sent; set by the mode. */
extern uint64_t (*stamp_of)(uint64_t n);

static inline void payload_fill(uint8_t *p, uint64_t n) {
  uint64_t stamp = stamp_of(n);
  memcpy(p, &stamp, 8);
  memcpy(p + 8, &n, 8);
}

/** A session saw the payload of one record: its number must be the next, its stamp tells the latency. */
static inline void record_seen(struct session *s, const uint8_t *payload) {
  uint64_t n;
  memcpy(&n, payload + 8, 8);
  if (n != s->next) totals.gaps++;
  s->next = n + 1;
  if (s->sampled && measuring) {
    uint64_t stamp;
    memcpy(&stamp, payload, 8);
    histogram_add(&latency, now_ns() - stamp);
  }
}

static inline void records_delivered(struct session *s, uint64_t count) {
  s->received += count;
  totals.delivered += count;
}

void session_ready(struct session *s);
void publish_sent(struct session *s, uint32_t records, uint32_t bytes);
/** The oldest unacknowledged publish of this session is acknowledged. */
void publish_acked(struct session *s);
/** Something that must not happen: counted, and the first few are printed to stderr. */
void protocol_error(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** CPU seconds (user and system) of a process since its start; 0 when it cannot be read. */
double cpu_seconds_of(int pid);
/** CPU seconds that the whole machine has been busy. */
double cpu_seconds_busy(void);
double cpu_seconds_self(void);

void run_fan(void);
void run_idle(void);
void run_produce(void);
void run_catch_up(void);
void run_first_ack(void);
void run_disk(void);

#endif
