// What the disk itself does: append a piece, fdatasync, again. No server: the physical limit that produce is held to.
//
// sat: back to back for the duration. rate: open loop, latency from the instant a piece was due to its fdatasync's
// return. With --preallocate the file's blocks exist (and are written) beforehand, so a sync need not journal its size.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

#define REGION_BYTES (256LL * 1024 * 1024)

static void write_all(int fd, const uint8_t *data, size_t size, off_t at) {
  while (size > 0) {
    ssize_t written = pwrite(fd, data, size, at);
    if (written < 0) fail("write of %s: %s", options.file, strerror(errno));
    data += written;
    size -= (size_t)written;
    at += written;
  }
}

static void wait_until(uint64_t instant) {
  uint64_t now = now_ns();
  if (instant <= now) return;
  struct timespec pause = {(time_t)((instant - now) / NS_PER_S), (long)((instant - now) % NS_PER_S)};
  nanosleep(&pause, NULL);
}

void run_disk(void) {
  size_t piece = (size_t)options.batch_bytes;
  uint8_t *data = malloc(piece);
  int fd = open(options.file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || !data) fail("open %s: %s", options.file, strerror(errno));
  memset(data, 'x', piece);
  if (options.preallocate) {
    int error = posix_fallocate(fd, 0, REGION_BYTES);
    if (error) fail("preallocate %s: %s", options.file, strerror(error));
    static uint8_t zeros[1 << 20];
    for (off_t at = 0; at < REGION_BYTES; at += (off_t)sizeof zeros) write_all(fd, zeros, sizeof zeros, at);
    fsync(fd);
  }
  uint64_t began = now_ns(), end = began + options.warm_ns + options.duration_ns, pieces = 0, measured_from = 0, n = 0;
  off_t at = 0;
  while (now_ns() < end) {
    uint64_t due = options.rate > 0 ? began + (uint64_t)((double)n++ * 1e9 / options.rate) : now_ns();
    wait_until(due);
    if (!measuring && now_ns() >= began + options.warm_ns) {
      measuring = 1;
      measured_from = now_ns();
    }
    if (at + (off_t)piece > REGION_BYTES) at = options.preallocate ? 0 : at;
    write_all(fd, data, piece, at);
    if (fdatasync(fd) < 0) fail("fdatasync of %s: %s", options.file, strerror(errno));
    at += (off_t)piece;
    if (measuring) {
      histogram_add(&latency, now_ns() - due);
      pieces++;
    }
  }
  double seconds = (double)(now_ns() - measured_from) / 1e9;
  close(fd);
  unlink(options.file);
  printf("{\"event\":\"disk\",\"seconds\":%.4f,\"pieces\":%llu,\"piecesPerS\":%.1f,\"mbPerS\":%.2f,\"p50Ms\":%.4f,"
         "\"p99Ms\":%.4f,\"maxMs\":%.4f}\n",
         seconds, (unsigned long long)pieces, (double)pieces / seconds, (double)pieces * (double)piece / seconds / 1e6,
         (double)histogram_percentile(&latency, 0.5) / 1e6, (double)histogram_percentile(&latency, 0.99) / 1e6,
         (double)latency.max / 1e6);
}
