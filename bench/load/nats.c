// NATS over WebSocket, core and JetStream. The server's messages carry a text stream that is cut anywhere, so
// what is unfinished at the end of one message is kept and the next is appended to it.
//
// sid 1 = records, 2 = acknowledgements of JetStream publishes, 3 = answers of the JetStream API.
// JetStream is used as its documentation advises for speed: file storage, asynchronous publishes with acks,
// one ephemeral push consumer without acks whose state is in memory.
#include <stdio.h>
#include <stdlib.h>

#include "load.h"

#define REST_BYTES_MAX (1 << 20)
#define FRAME_BYTES_MAX 65536

enum step { AWAIT_INFO, AWAIT_PONG, AWAIT_STREAM, AWAIT_CONSUMER, SERVING };

static void send_text(struct session *s, const char *text) { conn_send(&s->conn, text, strlen(text)); }

static void request_api(struct session *s, const char *subject, const char *body) {
  char text[1024];
  snprintf(text, sizeof text, "PUB %s i.%d.3 %zu\r\n%s\r\n", subject, s->conn.index, strlen(body), body);
  send_text(s, text);
}

static void greet(struct session *s) {
  char text[512];
  int index = s->conn.index;
  int length = snprintf(text, sizeof text,
                        "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1,"
                        "\"headers\":true,\"no_responders\":true}\r\n");
  if (s->role == SUBSCRIBER) {
    const char *prefix = protocol == &jetstream ? "d." : "";
    char own[16] = "";
    if (protocol == &jetstream) snprintf(own, sizeof own, ".%d", index);
    length += snprintf(text + length, sizeof text - (size_t)length, "SUB %s%s%s 1\r\n", prefix, options.topic, own);
  }
  if (protocol == &jetstream) {
    length += snprintf(text + length, sizeof text - (size_t)length, "SUB i.%d.2 2\r\nSUB i.%d.3 3\r\n", index, index);
  }
  snprintf(text + length, sizeof text - (size_t)length, "PING\r\n");
  s->step = AWAIT_PONG;
  send_text(s, text);
}

static void after_pong(struct session *s) {
  char subject[128], body[512];
  if (s->step != AWAIT_PONG) return;
  if (protocol == &nats || (s->role != SUBSCRIBER && !options.create)) {
    s->step = SERVING;
    session_ready(s);
  } else if (s->role == SUBSCRIBER) {
    s->step = AWAIT_CONSUMER;
    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.CREATE.%s", options.topic);
    snprintf(body, sizeof body,
             "{\"stream_name\":\"%s\",\"config\":{\"deliver_subject\":\"d.%s.%d\",\"deliver_policy\":\"all\","
             "\"ack_policy\":\"none\",\"replay_policy\":\"instant\",\"mem_storage\":true}}",
             options.topic, options.topic, s->conn.index);
    request_api(s, subject, body);
  } else {
    s->step = AWAIT_STREAM;
    snprintf(subject, sizeof subject, "$JS.API.STREAM.CREATE.%s", options.topic);
    snprintf(body, sizeof body,
             "{\"name\":\"%s\",\"subjects\":[\"%s\"],\"storage\":\"file\",\"retention\":\"limits\",\"max_bytes\":-1,"
             "\"max_msgs\":-1,\"num_replicas\":1,\"discard\":\"old\"}",
             options.topic, options.topic);
    request_api(s, subject, body);
  }
}

static void api_answered(struct session *s, const uint8_t *body, size_t size) {
  if (memmem(body, size, "\"error\"", 7)) {
    protocol_error(s, "JetStream refused: %.*s", (int)size, body);
    return;
  }
  s->step = SERVING;
  session_ready(s);
}

static void take_message(struct session *s, int sid, const uint8_t *payload, size_t size) {
  if (sid == 1) {
    if ((int)size != options.size) {
      protocol_error(s, "a message of %zu bytes, not %d", size, options.size);
      return;
    }
    records_delivered(s, 1);
    record_seen(s, payload);
    s->bytes += size;
    totals.delivered_bytes += size;
  } else if (sid == 2) {
    if (memmem(payload, size, "\"error\"", 7)) protocol_error(s, "publish refused: %.*s", (int)size, payload);
    publish_acked(s);
  } else {
    api_answered(s, payload, size);
  }
}

/** Serves one line of the protocol with its payload; answers its bytes, or 0 when it has not arrived entirely. */
static size_t take_line(struct session *s, const uint8_t *data, size_t size) {
  const uint8_t *end = memchr(data, '\n', size);
  if (!end) return 0;
  size_t line = (size_t)(end - data) + 1;
  if (line >= 6 && (data[0] == 'M' || data[0] == 'H') && data[line - 2] == '\r') {
    const uint8_t *p = end - 2;
    size_t bytes = 0, scale = 1;
    for (; *p >= '0' && *p <= '9'; p--, scale *= 10) bytes += (size_t)(*p - '0') * scale;
    if (size < line + bytes + 2) return 0;
    if (data[0] == 'H') {
      protocol_error(s, "a message with headers: %.*s", (int)bytes, end + 1);
      return line + bytes + 2;
    }
    const uint8_t *sid = memchr(data + 4, ' ', line - 4);
    take_message(s, sid ? sid[1] - '0' : 0, end + 1, bytes);
    return line + bytes + 2;
  }
  if (memcmp(data, "PING", 4) == 0) send_text(s, "PONG\r\n");
  else if (memcmp(data, "PONG", 4) == 0) after_pong(s);
  else if (memcmp(data, "INFO", 4) == 0 && s->step == AWAIT_INFO) greet(s);
  else if (memcmp(data, "-ERR", 4) == 0) protocol_error(s, "%.*s", (int)line, data);
  return line;
}

static size_t take_lines(struct session *s, const uint8_t *data, size_t size) {
  size_t at = 0;
  while (at < size && s->conn.state == CONN_OPEN) {
    size_t done = take_line(s, data + at, size - at);
    if (done == 0) break;
    at += done;
  }
  return at;
}

static void message(struct conn *c, const uint8_t *data, size_t size) {
  struct session *s = c->session;
  if (s->rest_size > 0) {
    if (s->rest_size + size > s->rest_capacity) {
      if (s->rest_size + size > REST_BYTES_MAX * 64) fail("a line of NATS protocol of more than 64 MiB");
      s->rest_capacity = (s->rest_size + size) * 2;
      s->rest = realloc(s->rest, s->rest_capacity);
      if (!s->rest) fail("no memory for NATS protocol");
    }
    memcpy(s->rest + s->rest_size, data, size);
    s->rest_size += size;
    size_t done = take_lines(s, s->rest, s->rest_size);
    memmove(s->rest, s->rest + done, s->rest_size - done);
    s->rest_size -= done;
    return;
  }
  size_t done = take_lines(s, data, size), left = size - done;
  if (left == 0) return;
  if (left > s->rest_capacity) {
    free(s->rest);
    s->rest_capacity = left * 2;
    s->rest = malloc(s->rest_capacity);
    if (!s->rest) fail("no memory for NATS protocol");
  }
  memcpy(s->rest, data + done, left);
  s->rest_size = left;
}

static void opened(struct conn *c) { ((struct session *)c->session)->step = AWAIT_INFO; }

static void closed(struct conn *c, const char *why) { protocol_error(c->session, "closed: %s", why); }

static uint32_t publish(struct session *s, uint64_t first, uint32_t count) {
  char head[128];
  size_t head_size = (size_t)snprintf(head, sizeof head, "PUB %s %d\r\n", options.topic, options.size);
  if (protocol == &jetstream) {
    head_size = (size_t)snprintf(head, sizeof head, "PUB %s i.%d.2 %d\r\n", options.topic, s->conn.index, options.size);
    uint32_t room = s->in_flight < options.window ? (uint32_t)(options.window - s->in_flight) : 0;
    if (count > room) count = room;
  }
  size_t each = head_size + (size_t)options.size + 2;
  if (count > FRAME_BYTES_MAX / each) count = (uint32_t)(FRAME_BYTES_MAX / each);
  if (count == 0 || conn_unsent(&s->conn) > 1024 * 1024) return 0;
  uint8_t *p = conn_frame(&s->conn, each * count);
  for (uint32_t i = 0; i < count; i++, p += each) {
    memcpy(p, head, head_size);
    memset(p + head_size + PAYLOAD_BYTES_MIN, 'x', (size_t)options.size - PAYLOAD_BYTES_MIN);
    payload_fill(p + head_size, first + i);
    memcpy(p + head_size + options.size, "\r\n", 2);
    if (protocol == &jetstream) publish_sent(s, 1, (uint32_t)options.size);
  }
  return count;
}

static uint32_t publish_block(struct session *s) {
  return publish(s, totals.published, (uint32_t)(options.batch_bytes / options.size));
}

const struct protocol nats = {"nats", {opened, message, closed}, publish, publish_block};
const struct protocol jetstream = {"jetstream", {opened, message, closed}, publish, publish_block};
