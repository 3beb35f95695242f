// Kafka's RecordBatch v2: written whole, read by header, and record by record where payloads are checked.
#ifndef LOAD_BATCH_H
#define LOAD_BATCH_H

#include <stddef.h>
#include <stdint.h>

#define BATCH_HEADER_BYTES 61

struct batch_header {
  int64_t base_offset;
  uint32_t size, crc;
  int32_t last_offset_delta, record_count;
};

/** Bytes enough for a batch of that many records with values of that size. */
size_t batch_bytes_max(uint32_t records, uint32_t value_size);
/**
 * Writes a batch of records without keys and headers; answers its size. `fill` writes the first 16 bytes of each value
 * (NULL: none), numbered from `first`.
 */
size_t batch_write(uint8_t *to, uint64_t first, uint32_t records, uint32_t value_size,
                   void (*fill)(uint8_t *value, uint64_t n));
/** Reads a header; answers 0 when the bytes are not one whole batch of magic 2. */
int batch_read(const uint8_t *data, size_t size, struct batch_header *header);
int batch_crc_holds(const uint8_t *data, const struct batch_header *header);
/** Calls `each` with the value of every record; answers 0 when a record does not parse. */
int batch_each(const uint8_t *data, const struct batch_header *header,
               void (*each)(void *context, const uint8_t *value, size_t size), void *context);

#endif
