"""Free memory of this process, returned to the system.

The C library keeps freed blocks for later, which is fast within a training step. What loading a dataset and probing a
backend free is several times as large as what steps need.
"""

from __future__ import annotations

import ctypes
import sys


def release_free_memory() -> None:
    """Return free blocks of the heap to the system. Does nothing if the C library is not glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
