// CRC-32C (Castagnoli) as Kafka's record batches use it.
#ifndef LOAD_CRC32C_H
#define LOAD_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/** Chooses the processor's instruction where there is one, else a table. Call once. */
void crc32c_init(void);
uint32_t crc32c(const uint8_t *data, size_t size);

#endif
