// Big-endian and varint access to bytes. Writers advance a cursor that the caller has sized;
// readers are bounds-checked: past the end they set `bad`, return zero and stay there.
#ifndef LOAD_BYTES_H
#define LOAD_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint8_t *put_i8(uint8_t *p, int8_t v) {
  *p = (uint8_t)v;
  return p + 1;
}
static inline uint8_t *put_i16(uint8_t *p, int16_t v) {
  uint16_t u = __builtin_bswap16((uint16_t)v);
  memcpy(p, &u, 2);
  return p + 2;
}
static inline uint8_t *put_i32(uint8_t *p, int32_t v) {
  uint32_t u = __builtin_bswap32((uint32_t)v);
  memcpy(p, &u, 4);
  return p + 4;
}
static inline uint8_t *put_i64(uint8_t *p, int64_t v) {
  uint64_t u = __builtin_bswap64((uint64_t)v);
  memcpy(p, &u, 8);
  return p + 8;
}
static inline uint8_t *put_uvarint(uint8_t *p, uint64_t v) {
  while (v >= 0x80) {
    *p++ = (uint8_t)(v | 0x80);
    v >>= 7;
  }
  *p++ = (uint8_t)v;
  return p;
}
static inline uint8_t *put_varint(uint8_t *p, int64_t v) {
  return put_uvarint(p, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}
static inline uint8_t *put_bytes(uint8_t *p, const void *from, size_t size) {
  memcpy(p, from, size);
  return p + size;
}
/** int16 length, then the bytes. */
static inline uint8_t *put_string(uint8_t *p, const char *s) {
  size_t size = strlen(s);
  return put_bytes(put_i16(p, (int16_t)size), s, size);
}
/** unsigned varint of length + 1, then the bytes. */
static inline uint8_t *put_compact_string(uint8_t *p, const char *s) {
  size_t size = strlen(s);
  return put_bytes(put_uvarint(p, size + 1), s, size);
}

static inline uint16_t get_u16(const uint8_t *p) {
  uint16_t u;
  memcpy(&u, p, 2);
  return __builtin_bswap16(u);
}
static inline uint32_t get_u32(const uint8_t *p) {
  uint32_t u;
  memcpy(&u, p, 4);
  return __builtin_bswap32(u);
}
static inline uint64_t get_u64(const uint8_t *p) {
  uint64_t u;
  memcpy(&u, p, 8);
  return __builtin_bswap64(u);
}

struct reader {
  const uint8_t *at, *end;
  int bad;
};

static inline int reader_has(struct reader *r, size_t size) {
  if ((size_t)(r->end - r->at) >= size && !r->bad) return 1;
  r->bad = 1;
  return 0;
}
static inline int8_t read_i8(struct reader *r) {
  if (!reader_has(r, 1)) return 0;
  return (int8_t)*r->at++;
}
static inline int16_t read_i16(struct reader *r) {
  if (!reader_has(r, 2)) return 0;
  r->at += 2;
  return (int16_t)get_u16(r->at - 2);
}
static inline int32_t read_i32(struct reader *r) {
  if (!reader_has(r, 4)) return 0;
  r->at += 4;
  return (int32_t)get_u32(r->at - 4);
}
static inline int64_t read_i64(struct reader *r) {
  if (!reader_has(r, 8)) return 0;
  r->at += 8;
  return (int64_t)get_u64(r->at - 8);
}
static inline uint64_t read_uvarint(struct reader *r) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (!reader_has(r, 1)) return 0;
    uint8_t byte = *r->at++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return value;
  }
  r->bad = 1;
  return 0;
}
static inline int64_t read_varint(struct reader *r) {
  uint64_t u = read_uvarint(r);
  return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}
static inline const uint8_t *read_span(struct reader *r, size_t size) {
  if (!reader_has(r, size)) return NULL;
  r->at += size;
  return r->at - size;
}

#endif
