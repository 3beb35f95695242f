#include "crc32c.h"

#include <string.h>

static uint32_t table[256];

static uint32_t crc32c_table(const uint8_t *data, size_t size) {
  uint32_t crc = ~0U;
  for (size_t i = 0; i < size; i++) crc = (crc >> 8) ^ table[(crc ^ data[i]) & 0xff];
  return ~crc;
}

static uint32_t (*chosen)(const uint8_t *, size_t) = crc32c_table;

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(const uint8_t *data, size_t size) {
  uint64_t crc = ~0U;
  for (; size >= 8; size -= 8, data += 8) {
    uint64_t word;
    memcpy(&word, data, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  for (; size > 0; size--) crc = _mm_crc32_u8((uint32_t)crc, *data++);
  return ~(uint32_t)crc;
}
#endif

void crc32c_init(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ (value & 1 ? 0x82f63b78U : 0);
    table[i] = value;
  }
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) chosen = crc32c_sse42;
#endif
}

uint32_t crc32c(const uint8_t *data, size_t size) { return chosen(data, size); }
