"""Keep freed memory in the process: on a CPU, handing big buffers back to the kernel dominates a training step.

The setting cannot be read or put back, so it is made only where radlens owns the process: by the command line. Who
trains from a notebook or a program of their own, and wants the speed, calls :func:`keep_freed_memory` first.
"""

from __future__ import annotations

import ctypes
import logging
import sys

logger = logging.getLogger(__name__)

# Names and numbers from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_LARGE = 2**30
# Before version 2.35 glibc refuses a larger threshold than half of its heap size.
_OLD_LIMIT = 32 * 2**20


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to reuse big freed buffers rather than unmap and fault them in again.

    A training step allocates and frees hundreds of megabytes of activations. By default each buffer over 128 KiB to
    32 MiB is mapped from the kernel and zeroed page by page every time.

    Returns:
        Whether the allocator took the setting; False off Linux and with other C libraries, where nothing is changed.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        logger.debug("this C library has no mallopt; memory allocation stays as it is")
        return False
    mallopt.argtypes = (ctypes.c_int, ctypes.c_int)
    mallopt.restype = ctypes.c_int
    mapped = mallopt(_M_MMAP_THRESHOLD, _LARGE) or mallopt(_M_MMAP_THRESHOLD, _OLD_LIMIT)
    kept = mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    padded = mallopt(_M_TOP_PAD, 64 * 2**20)
    return bool(mapped and kept and padded)
