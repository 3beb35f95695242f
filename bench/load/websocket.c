#include "websocket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"

#define SHARED_BYTES (512 * 1024)
#define MESSAGE_BYTES_MAX (64 * 1024 * 1024)
#define FRAME_HEADER_MAX 14

// Key and accept are the pair that RFC 6455 section 1.3 computes, so the answer can be checked without SHA-1.
static const char KEY[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

static int epoll_fd = -1;
static uint8_t *shared;

void loop_init(void) {
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  shared = malloc(SHARED_BYTES);
  if (epoll_fd < 0 || !shared) {
    perror("loop_init");
    exit(1);
  }
}

static void watch(struct conn *c, int operation, int writable) {
  struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.ptr = c};
  if (epoll_ctl(epoll_fd, operation, c->fd, &event) < 0) perror("epoll_ctl");
  c->writable_wanted = writable;
}

void conn_connect(struct conn *c, int port, const struct handler *handler, void *session) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int index = c->index, on = 1;
  memset(c, 0, sizeof *c);
  c->index = index;
  c->handler = handler;
  c->session = session;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) {
    c->state = CONN_CLOSED;
    handler->closed(c, strerror(errno));
    return;
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  c->state = CONN_CONNECTING;
  int result = connect(c->fd, (struct sockaddr *)&to, sizeof to);
  watch(c, EPOLL_CTL_ADD, 1);
  if (result < 0 && errno != EINPROGRESS) conn_close(c, strerror(errno));
}

static void reserve(uint8_t **buffer, size_t *capacity, size_t wanted) {
  if (*capacity >= wanted) return;
  size_t grown = *capacity ? *capacity : 512;
  while (grown < wanted) grown *= 2;
  *buffer = realloc(*buffer, grown);
  if (!*buffer) {
    perror("realloc");
    exit(1);
  }
  *capacity = grown;
}

static uint8_t *frame(struct conn *c, int opcode, size_t size) {
  if (c->tx_at == c->tx_size) c->tx_at = c->tx_size = 0;
  reserve(&c->tx, &c->tx_capacity, c->tx_size + FRAME_HEADER_MAX + size);
  uint8_t *p = c->tx + c->tx_size;
  *p++ = (uint8_t)(0x80 | opcode);
  if (size < 126) {
    *p++ = (uint8_t)(0x80 | size);
  } else if (size < 65536) {
    *p++ = 0x80 | 126;
    p = put_i16(p, (int16_t)size);
  } else {
    *p++ = 0x80 | 127;
    p = put_i64(p, (int64_t)size);
  }
  p = put_i32(p, 0);
  c->tx_size = (size_t)(p - c->tx) + size;
  return p;
}

uint8_t *conn_frame(struct conn *c, size_t size) { return frame(c, 2, size); }

void conn_send(struct conn *c, const void *data, size_t size) {
  memcpy(frame(c, 2, size), data, size);
  conn_flush(c);
}

void conn_flush(struct conn *c) {
  if (c->state == CONN_CLOSED || c->state == CONN_CONNECTING) return;
  while (c->tx_at < c->tx_size) {
    ssize_t written = send(c->fd, c->tx + c->tx_at, c->tx_size - c->tx_at, MSG_NOSIGNAL);
    if (written < 0) {
      if (errno == EAGAIN) {
        if (!c->writable_wanted) watch(c, EPOLL_CTL_MOD, 1);
        return;
      }
      conn_close(c, strerror(errno));
      return;
    }
    c->tx_at += (size_t)written;
  }
  if (c->writable_wanted) watch(c, EPOLL_CTL_MOD, 0);
}

void conn_close(struct conn *c, const char *why) {
  if (c->state == CONN_CLOSED) return;
  c->state = CONN_CLOSED;
  close(c->fd);
  free(c->rx);
  free(c->tx);
  c->rx = c->tx = NULL;
  c->rx_size = c->rx_capacity = c->tx_at = c->tx_size = c->tx_capacity = 0;
  c->handler->closed(c, why);
}

static void begin_upgrade(struct conn *c) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) {
    conn_close(c, strerror(error));
    return;
  }
  c->state = CONN_UPGRADING;
  char request[256];
  int length = snprintf(request, sizeof request,
                        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
                        KEY);
  reserve(&c->tx, &c->tx_capacity, (size_t)length);
  memcpy(c->tx, request, (size_t)length);
  c->tx_size = (size_t)length;
  conn_flush(c);
}

/** Bytes of the server's HTTP answer, 0 when it is not whole yet, -1 when it refuses. */
static ssize_t finish_upgrade(struct conn *c, const uint8_t *data, size_t size) {
  const uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
  if (!end) return size > 8192 ? -1 : 0;
  size_t length = (size_t)(end - data) + 4;
  if (size < 12 || memcmp(data, "HTTP/1.1 101", 12) != 0) return -1;
  if (!memmem(data, length, ACCEPT, sizeof ACCEPT - 1)) return -1;
  c->state = CONN_OPEN;
  c->handler->open(c);
  return (ssize_t)length;
}

static void take_frame(struct conn *c, int first, const uint8_t *payload, size_t size) {
  switch (first & 0x0f) {
    case 0:
    case 1:
    case 2:
      c->handler->message(c, payload, size);
      return;
    case 8:
      c->close_code = size >= 2 ? get_u16(payload) : 1005;
      char why[160];
      snprintf(why, sizeof why, "closed by the server: %d %.*s", c->close_code, size > 2 ? (int)(size - 2) : 0,
               payload + 2);
      conn_close(c, why);
      return;
    case 9:
      memcpy(frame(c, 10, size), payload, size);
      conn_flush(c);
      return;
    case 10:
      return;
    default:
      conn_close(c, "reserved opcode from the server");
  }
}

/** Serves whole frames at the front of the data; answers how many bytes are done with. */
static size_t take_frames(struct conn *c, const uint8_t *data, size_t size, size_t *wanted) {
  size_t at = 0;
  *wanted = 0;
  while (c->state == CONN_OPEN && size - at >= 2) {
    size_t header = 2;
    uint64_t length = data[at + 1] & 0x7f;
    if (data[at + 1] & 0x80) {
      conn_close(c, "masked frame from the server");
      break;
    }
    if (length == 126) {
      header = 4;
      if (size - at < header) break;
      length = get_u16(data + at + 2);
    } else if (length == 127) {
      header = 10;
      if (size - at < header) break;
      length = get_u64(data + at + 2);
    }
    if (length > MESSAGE_BYTES_MAX) {
      conn_close(c, "frame of more than 64 MiB from the server");
      break;
    }
    if (size - at < header + length) {
      *wanted = header + length;
      break;
    }
    take_frame(c, data[at], data + at + header, length);
    at += header + length;
  }
  return at;
}

/** Serves what it can of the data; answers the bytes consumed and, in `wanted`, the size of a frame begun. */
static size_t take(struct conn *c, const uint8_t *data, size_t size, size_t *wanted) {
  size_t at = 0;
  *wanted = 0;
  if (c->state == CONN_UPGRADING) {
    ssize_t length = finish_upgrade(c, data, size);
    if (length < 0) {
      conn_close(c, "the server refused the WebSocket upgrade");
      return size;
    }
    if (length == 0) return 0;
    at = (size_t)length;
  }
  return at + take_frames(c, data + at, size - at, wanted);
}

static void keep_rest(struct conn *c, const uint8_t *rest, size_t size, size_t wanted) {
  if (c->state == CONN_CLOSED) return;
  if (size == 0) {
    // A buffer that was only needed for one large frame is not kept by thousands of idle connections.
    if (c->rx_capacity > 64 * 1024) {
      free(c->rx);
      c->rx = NULL;
      c->rx_capacity = 0;
    }
  } else if (rest != c->rx) {
    uint8_t *own = c->rx;
    int inside = own && rest > own && rest < own + c->rx_capacity;
    if (inside) {
      memmove(own, rest, size);
      reserve(&c->rx, &c->rx_capacity, wanted);
    } else {
      reserve(&c->rx, &c->rx_capacity, wanted > size ? wanted : size);
      memcpy(c->rx, rest, size);
    }
  } else {
    reserve(&c->rx, &c->rx_capacity, wanted > size ? wanted : size);
  }
  c->rx_size = size;
}

static void readable(struct conn *c) {
  size_t wanted = 0;
  int own = c->rx_size > 0;
  if (own) reserve(&c->rx, &c->rx_capacity, c->rx_size + 4096);
  uint8_t *into = own ? c->rx + c->rx_size : shared;
  size_t room = own ? c->rx_capacity - c->rx_size : SHARED_BYTES;
  ssize_t got = recv(c->fd, into, room, 0);
  if (got <= 0) {
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    conn_close(c, got == 0 ? "connection ended by the server" : strerror(errno));
    return;
  }
  uint8_t *data = own ? c->rx : shared;
  size_t size = (size_t)got + (own ? c->rx_size : 0);
  size_t done = take(c, data, size, &wanted);
  keep_rest(c, data + done, size - done, wanted);
}

void loop_step(uint64_t timeout_ns, void (*between)(void)) {
  struct epoll_event events[256];
  struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000), .tv_nsec = (long)(timeout_ns % 1000000000)};
  int count = epoll_pwait2(epoll_fd, events, 256, &timeout, NULL);
  for (int i = 0; i < count; i++) {
    struct conn *c = events[i].data.ptr;
    if (c->state == CONN_CONNECTING && events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) begin_upgrade(c);
    else if (c->state != CONN_CLOSED && events[i].events & EPOLLOUT) conn_flush(c);
    if (c->state != CONN_CLOSED && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
    if (between && (i & 63) == 63) between();
  }
  if (between) between();
}
