// The offset protocol (docs/PROTOCOL.md): ApiVersions, Hello, CreateTopics or Metadata, then Produce or Subscribe.
//
// One request of a kind is answered before the next is sent, except Produce; the correlation id is the API key,
// which tells what a response answers, and acknowledgements of Produce come in order. Every Deliver is checked:
// batches back to back, offsets without a gap, the position at its end. On sampled sessions the CRC of every
// `crc`-th batch is computed and, in fan-out, every payload is compared with its offset.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "batch.h"
#include "bytes.h"
#include "load.h"

enum api { PRODUCE = 0, METADATA = 3, API_VERSIONS = 18, CREATE_TOPICS = 19, HELLO = 20000, SUBSCRIBE = 20001, GRANT = 20002 };
enum push { DELIVER = 20010, HEARTBEAT = 20011, SUBSCRIPTION_ENDED = 20012 };

#define DELIVER_HEADER_BYTES 72
#define TOPIC_ALREADY_EXISTS 36

static uint8_t topic_id[16];
static int topic_known;

static uint8_t *begin(uint8_t *p, enum api key, int version) {
  p = put_i16(p, (int16_t)key);
  p = put_i16(p, (int16_t)version);
  p = put_i32(p, (int32_t)key);
  p = put_string(p, "bench");
  return put_uvarint(p, 0);
}

static void send_hello(struct session *s) {
  uint8_t message[128], *p = begin(message, HELLO, 0);
  p = put_i64(p, (int64_t)getpid() << 32 | 0x6c6f6164);
  p = put_i64(p, s->conn.index + 1);
  p = put_i64(p, 1);
  p = put_i32(p, 10000);
  p = put_uvarint(p, 0);
  conn_send(&s->conn, message, (size_t)(p - message));
}

static void send_create(struct session *s) {
  uint8_t message[512], *p = begin(message, CREATE_TOPICS, 7);
  p = put_uvarint(p, 2);
  p = put_compact_string(p, options.topic);
  p = put_i32(p, 1);
  p = put_i16(p, 1);
  p = put_uvarint(p, 1);
  p = put_uvarint(p, 1);
  p = put_uvarint(p, 0);
  p = put_i32(p, 10000);
  p = put_i8(p, 0);
  p = put_uvarint(p, 0);
  conn_send(&s->conn, message, (size_t)(p - message));
}

static void send_metadata(struct session *s) {
  uint8_t message[512], *p = begin(message, METADATA, 12);
  p = put_uvarint(p, 2);
  memset(p, 0, 16);
  p = put_compact_string(p + 16, options.topic);
  p = put_uvarint(p, 0);
  p = put_i8(p, 0);
  p = put_i8(p, 0);
  p = put_uvarint(p, 0);
  conn_send(&s->conn, message, (size_t)(p - message));
}

static void send_subscribe(struct session *s) {
  uint8_t message[128], *p = begin(message, SUBSCRIBE, 0);
  p = put_i8(p, 0);
  p = put_uvarint(p, 2);
  p = put_bytes(p, topic_id, 16);
  p = put_i32(p, 0);
  p = put_i64(p, 0);
  p = put_i32(p, -1);
  p = put_i32(p, options.credit);
  p = put_uvarint(p, 0);
  p = put_uvarint(p, 0);
  conn_send(&s->conn, message, (size_t)(p - message));
}

/** Credit goes back in halves of the window: what arrived counts as kept at once. */
static void grant_back(struct session *s, size_t size) {
  s->ungranted += size;
  if (s->ungranted < (uint64_t)options.credit / 2) return;
  uint8_t message[128], *p = begin(message, GRANT, 0);
  p = put_uvarint(p, 2);
  p = put_bytes(p, topic_id, 16);
  p = put_i32(p, 0);
  p = put_i32(p, (int32_t)s->ungranted);
  p = put_uvarint(p, 0);
  p = put_uvarint(p, 0);
  s->ungranted = 0;
  conn_send(&s->conn, message, (size_t)(p - message));
}

static void topic_found(struct session *s, const uint8_t *id) {
  if (!id) return;
  memcpy(topic_id, id, 16);
  topic_known = 1;
  session_ready(s);
}

static void created(struct session *s, struct reader *r) {
  read_i32(r);
  read_uvarint(r);
  read_span(r, (size_t)read_uvarint(r) - 1);
  const uint8_t *id = read_span(r, 16);
  int error = read_i16(r);
  if (error == TOPIC_ALREADY_EXISTS) send_metadata(s);
  else if (error || r->bad) protocol_error(s, "CreateTopics answered error %d", error);
  else topic_found(s, id);
}

static void described(struct session *s, struct reader *r) {
  read_i32(r);
  uint64_t brokers = read_uvarint(r);
  for (uint64_t i = 1; i < brokers && !r->bad; i++) {
    read_i32(r);
    read_span(r, (size_t)read_uvarint(r) - 1);
    read_i32(r);
    uint64_t rack = read_uvarint(r);
    if (rack > 1) read_span(r, (size_t)rack - 1);
    read_uvarint(r);
  }
  uint64_t cluster = read_uvarint(r);
  if (cluster > 1) read_span(r, (size_t)cluster - 1);
  read_i32(r);
  read_uvarint(r);
  int error = read_i16(r);
  uint64_t name = read_uvarint(r);
  if (name > 1) read_span(r, (size_t)name - 1);
  const uint8_t *id = read_span(r, 16);
  if (error || r->bad) protocol_error(s, "Metadata answered error %d for topic %s", error, options.topic);
  else topic_found(s, id);
}

static void greeted(struct session *s, struct reader *r) {
  int error = read_i16(r);
  if (error || r->bad) protocol_error(s, "Hello answered error %d", error);
  else if (s->role == SUBSCRIBER) send_subscribe(s);
  else if (topic_known) session_ready(s);
  else if (options.create) send_create(s);
  else send_metadata(s);
}

static void subscribed(struct session *s, struct reader *r) {
  read_i32(r);
  read_uvarint(r);
  read_span(r, 20);
  int error = read_i16(r);
  if (error || r->bad) protocol_error(s, "Subscribe answered error %d", error);
  else session_ready(s);
}

static void produced(struct session *s, struct reader *r) {
  read_uvarint(r);
  read_span(r, 16);
  read_uvarint(r);
  read_i32(r);
  int error = read_i16(r);
  if (error || r->bad) protocol_error(s, "Produce answered error %d", error);
  publish_acked(s);
}

struct value_check {
  struct session *session;
  uint64_t offset, now;
};

static void check_value(void *context, const uint8_t *value, size_t size) {
  struct value_check *check = context;
  uint64_t n, stamp;
  if ((int)size != options.size) totals.gaps++;
  memcpy(&stamp, value, 8);
  memcpy(&n, value + 8, 8);
  if (n != check->offset++) totals.gaps++;
  if (measuring) histogram_add(&latency, check->now - stamp);
}

static void take_batch(struct session *s, const uint8_t *data, const struct batch_header *header) {
  if ((uint64_t)header->base_offset != s->next) totals.gaps++;
  if (s->sampled && options.crc > 0 && s->received % (uint64_t)options.crc == 0) {
    totals.crc_checked++;
    if (!batch_crc_holds(data, header)) protocol_error(s, "the CRC of batch %lld is wrong", (long long)header->base_offset);
  }
  if (s->sampled && options.stamps) {
    struct value_check check = {s, (uint64_t)header->base_offset, now_ns()};
    if (!batch_each(data, header, check_value, &check)) protocol_error(s, "a record does not parse");
  }
  s->next = (uint64_t)header->base_offset + (uint64_t)header->last_offset_delta + 1;
  records_delivered(s, (uint64_t)header->record_count);
}

static void delivered(struct session *s, const uint8_t *data, size_t size) {
  if (size < DELIVER_HEADER_BYTES) {
    protocol_error(s, "a Deliver of %zu bytes", size);
    return;
  }
  uint64_t high_watermark = get_u64(data + 40), next_offset = get_u64(data + 56);
  size_t at = DELIVER_HEADER_BYTES + 16 * (size_t)get_u32(data + 64), left;
  left = at <= size ? get_u32(data + at - 4) : size;
  if (left != size - at) {
    protocol_error(s, "a Deliver of %zu bytes says that it holds %zu bytes of records", size, left);
    return;
  }
  struct batch_header header;
  for (; left > 0; at += header.size, left -= header.size) {
    if (!batch_read(data + at, left, &header)) {
      protocol_error(s, "%zu bytes of a Deliver are not a batch", left);
      return;
    }
    take_batch(s, data + at, &header);
  }
  if (next_offset != s->next) totals.gaps++;
  s->at_tail = next_offset == high_watermark;
  size_t records = size - DELIVER_HEADER_BYTES;
  s->bytes += records;
  totals.delivered_bytes += records;
  grant_back(s, records);
}

static void pushed(struct session *s, const uint8_t *data, size_t size) {
  int key = size >= 8 ? get_u16(data + 4) : 0;
  if (key == DELIVER) delivered(s, data, size);
  else if (key == SUBSCRIPTION_ENDED) protocol_error(s, "the subscription ended: error %d", size >= 30 ? get_u16(data + 28) : 0);
  else if (key != HEARTBEAT) protocol_error(s, "an unknown push %d", key);
}

static void message(struct conn *c, const uint8_t *data, size_t size) {
  struct session *s = c->session;
  struct reader r = {data, data + size, 0};
  int32_t key = read_i32(&r);
  if (key == -1) {
    pushed(s, data, size);
    return;
  }
  // Only the answer to ApiVersions has no tags in its header.
  if (key == API_VERSIONS) {
    int error = read_i16(&r);
    if (error) protocol_error(s, "ApiVersions answered error %d", error);
    else send_hello(s);
    return;
  }
  read_uvarint(&r);
  if (key == PRODUCE) produced(s, &r);
  else if (key == HELLO) greeted(s, &r);
  else if (key == CREATE_TOPICS) created(s, &r);
  else if (key == METADATA) described(s, &r);
  else if (key == SUBSCRIBE) subscribed(s, &r);
  else protocol_error(s, "a response to nothing: correlation id %d", key);
}

static void opened(struct conn *c) {
  uint8_t message[128], *p = begin(message, API_VERSIONS, 3);
  p = put_compact_string(p, "ottla-bench");
  p = put_compact_string(p, "1");
  p = put_uvarint(p, 0);
  conn_send(c, message, (size_t)(p - message));
}

static void closed(struct conn *c, const char *why) { protocol_error(c->session, "closed: %s", why); }

/** Frames one batch as Produce v13 and queues it. */
static void send_batch(struct session *s, const uint8_t *batch, size_t size, uint32_t records) {
  uint8_t head[128], *p = begin(head, PRODUCE, 13);
  p = put_uvarint(p, 0);
  p = put_i16(p, -1);
  p = put_i32(p, 30000);
  p = put_uvarint(p, 2);
  p = put_bytes(p, topic_id, 16);
  p = put_uvarint(p, 2);
  p = put_i32(p, 0);
  p = put_uvarint(p, size + 1);
  size_t head_size = (size_t)(p - head);
  // After the records: tags of the partition, of the topic and of the request.
  uint8_t *to = conn_frame(&s->conn, head_size + size + 3);
  to = put_bytes(to, head, head_size);
  to = put_bytes(to, batch, size);
  memset(to, 0, 3);
  publish_sent(s, records, (uint32_t)size);
}

/** Records of the configured size that fit into one batch of the configured size. */
static uint32_t batch_records(void) {
  uint32_t records = (uint32_t)options.batch_bytes / (uint32_t)(options.size + 9);
  return records ? records : 1;
}

static uint32_t publish(struct session *s, uint64_t first, uint32_t count) {
  static uint8_t *batch;
  uint32_t most = batch_records();
  if (s->in_flight >= options.inflight) return 0;
  // A producer that may have five batches under way does not spend them on crumbs of its window.
  if (options.rate <= 0 && s->in_flight > 0 && count < (uint32_t)options.window / (uint32_t)options.inflight) return 0;
  if (count > most) count = most;
  if (!batch) batch = malloc(batch_bytes_max(most, (uint32_t)options.size));
  if (!batch) fail("no memory for a batch");
  size_t size = batch_write(batch, first, count, (uint32_t)options.size, payload_fill);
  send_batch(s, batch, size, count);
  return count;
}

static uint32_t publish_block(struct session *s) {
  static uint8_t *batch;
  static size_t size;
  if (s->in_flight >= options.inflight) return 0;
  uint32_t records = batch_records();
  if (!batch) batch = malloc(batch_bytes_max(records, (uint32_t)options.size));
  if (!batch) fail("no memory for a batch");
  // What fills a topic is written anew each time: batches that repeat would compress where several are stored together.
  if (size == 0 || options.bytes) size = batch_write(batch, 0, records, (uint32_t)options.size, NULL);
  send_batch(s, batch, size, records);
  return records;
}

const struct protocol ottla = {"ottla", {opened, message, closed}, publish, publish_block};
