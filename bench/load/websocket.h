// One WebSocket connection (RFC 6455, client side) on an epoll loop.
//
// Reading: whole frames are handed over in place, out of one buffer that all connections share; only a frame
// that has not arrived entirely is copied aside. Writing: frames are queued in the connection and flushed by
// conn_flush. The mask key is zero: legal (a key is any 32 bits of the client's choosing), and it makes masking
// free for the client while the server does the same work as for any other key.
#ifndef LOAD_WEBSOCKET_H
#define LOAD_WEBSOCKET_H

#include <stddef.h>
#include <stdint.h>

enum conn_state { CONN_CONNECTING, CONN_UPGRADING, CONN_OPEN, CONN_CLOSED };

struct conn;

/** What a protocol does with a connection. Data is valid only during the call. */
struct handler {
  void (*open)(struct conn *c);
  void (*message)(struct conn *c, const uint8_t *data, size_t size);
  void (*closed)(struct conn *c, const char *why);
};

struct conn {
  int fd, index;
  enum conn_state state;
  int writable_wanted;
  int close_code;
  const struct handler *handler;
  void *session;
  uint8_t *rx, *tx;
  size_t rx_size, rx_capacity;
  size_t tx_at, tx_size, tx_capacity;
};

/** Creates the epoll instance and the shared buffer. Call once. */
void loop_init(void);
/** Waits at most `timeout_ns` and serves every ready connection; calls `between` every 64 events and once at the end. */
void loop_step(uint64_t timeout_ns, void (*between)(void));

/** Begins a connection to 127.0.0.1:port; the handler's `open` follows when the upgrade is done. */
void conn_connect(struct conn *c, int port, const struct handler *handler, void *session);
/** Room for a binary message of exactly `size` bytes; the caller fills it. */
uint8_t *conn_frame(struct conn *c, size_t size);
void conn_send(struct conn *c, const void *data, size_t size);
/** Bytes queued but not taken by the kernel yet. */
static inline size_t conn_unsent(const struct conn *c) { return c->tx_size - c->tx_at; }
void conn_flush(struct conn *c);
void conn_close(struct conn *c, const char *why);

#endif
