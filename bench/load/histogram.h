// Latency histogram: 64 linear buckets for each power of two, so a percentile is within 1.6 % of the truth.
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB 64

struct histogram {
  uint64_t count, max;
  uint64_t buckets[59 * HISTOGRAM_SUB];
};

static inline void histogram_add(struct histogram *h, uint64_t value) {
  uint32_t index;
  if (value < HISTOGRAM_SUB) {
    index = (uint32_t)value;
  } else {
    int shift = 63 - __builtin_clzll(value) - 6;
    index = (uint32_t)((shift + 1) * HISTOGRAM_SUB + (int)((value >> shift) - HISTOGRAM_SUB));
  }
  h->buckets[index]++;
  h->count++;
  if (value > h->max) h->max = value;
}

/** Upper edge of the bucket in which the given share (0-1) of all values has been counted; 0 when empty. */
static inline uint64_t histogram_percentile(const struct histogram *h, double share) {
  uint64_t wanted = (uint64_t)((double)h->count * share), seen = 0;
  if (h->count == 0) return 0;
  for (uint32_t i = 0; i < 59 * HISTOGRAM_SUB; i++) {
    seen += h->buckets[i];
    if (seen > wanted) {
      if (i < HISTOGRAM_SUB) return i;
      uint32_t shift = i / HISTOGRAM_SUB - 1;
      uint64_t edge = ((uint64_t)(i % HISTOGRAM_SUB + HISTOGRAM_SUB + 1) << shift) - 1;
      return edge < h->max ? edge : h->max;
    }
  }
  return h->max;
}

#endif
