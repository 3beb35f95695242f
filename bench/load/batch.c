#include "batch.h"

#include "bytes.h"
#include "clock.h"
#include "crc32c.h"

#define RECORD_OVERHEAD_MAX 24

size_t batch_bytes_max(uint32_t records, uint32_t value_size) {
  return BATCH_HEADER_BYTES + (size_t)records * (value_size + RECORD_OVERHEAD_MAX);
}

static size_t varint_size(int64_t v) {
  uint8_t scratch[10];
  return (size_t)(put_varint(scratch, v) - scratch);
}

/** Bytes that do not compress: browsers compress what they store, and would store a tenth of a filler. The same each time. */
static void fill_noise(uint8_t *to, size_t size) {
  static uint64_t state = 0x9e3779b97f4a7c15;
  while (size > 0) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    size_t piece = size < sizeof state ? size : sizeof state;
    memcpy(to, &state, piece);
    to += piece;
    size -= piece;
  }
}

size_t batch_write(uint8_t *to, uint64_t first, uint32_t records, uint32_t value_size,
                   void (*fill)(uint8_t *value, uint64_t n)) {
  uint8_t *p = to + BATCH_HEADER_BYTES;
  size_t fixed = 2 + varint_size(-1) + varint_size(value_size) + value_size + 1;
  for (uint32_t i = 0; i < records; i++) {
    p = put_varint(p, (int64_t)(fixed + varint_size(i)));
    *p++ = 0;
    p = put_varint(p, 0);
    p = put_varint(p, i);
    p = put_varint(p, -1);
    p = put_varint(p, value_size);
    fill_noise(p, value_size);
    if (fill) fill(p, first + i);
    p += value_size;
    *p++ = 0;
  }
  size_t size = (size_t)(p - to);
  int64_t time = wall_ms();
  uint8_t *h = put_i64(to, 0);
  h = put_i32(h, (int32_t)(size - 12));
  h = put_i32(h, -1);
  h = put_i8(h, 2);
  h = put_i32(h, 0);
  h = put_i16(h, 0);
  h = put_i32(h, (int32_t)records - 1);
  h = put_i64(h, time);
  h = put_i64(h, time);
  h = put_i64(h, -1);
  h = put_i16(h, -1);
  h = put_i32(h, -1);
  put_i32(h, (int32_t)records);
  put_i32(to + 17, (int32_t)crc32c(to + 21, size - 21));
  return size;
}

int batch_read(const uint8_t *data, size_t size, struct batch_header *header) {
  if (size < BATCH_HEADER_BYTES) return 0;
  uint32_t length = get_u32(data + 8);
  if (length < BATCH_HEADER_BYTES - 12 || length > size - 12 || data[16] != 2) return 0;
  header->base_offset = (int64_t)get_u64(data);
  header->size = length + 12;
  header->crc = get_u32(data + 17);
  header->last_offset_delta = (int32_t)get_u32(data + 23);
  header->record_count = (int32_t)get_u32(data + 57);
  return 1;
}

int batch_crc_holds(const uint8_t *data, const struct batch_header *header) {
  return crc32c(data + 21, header->size - 21) == header->crc;
}

int batch_each(const uint8_t *data, const struct batch_header *header,
               void (*each)(void *context, const uint8_t *value, size_t size), void *context) {
  struct reader r = {data + BATCH_HEADER_BYTES, data + header->size, 0};
  for (int32_t i = 0; i < header->record_count; i++) {
    int64_t length = read_varint(&r);
    if (length < 0 || r.bad || length > r.end - r.at) return 0;
    struct reader body = {r.at, r.at + length, 0};
    r.at += length;
    read_i8(&body);
    read_varint(&body);
    read_varint(&body);
    int64_t key = read_varint(&body);
    if (key > 0) read_span(&body, (size_t)key);
    int64_t size = read_varint(&body);
    const uint8_t *value = size > 0 ? read_span(&body, (size_t)size) : NULL;
    if (body.bad || !value) return 0;
    each(context, value, (size_t)size);
  }
  return r.at == r.end && !r.bad;
}
