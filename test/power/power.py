"""Cuts the power of a mounted file system, as far as it can tell: the shutdown call of ext4 and XFS.

One line per cut on standard input: mount point, flag. 1: the journal in memory still reaches the disk. 2: nothing does.
"""
import fcntl
import os
import struct
import sys

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN: _IOR('X', 125, __u32)

for line in sys.stdin:
    path, flag = line.rsplit(" ", 1)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", int(flag)))
    finally:
        os.close(descriptor)
    print("cut", flush=True)
