"""Memory of a training worker on CPU: given back to the system now and then."""

import ctypes
import sys

ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128"}
"""Environment of a training process on CPU. Forward and backward run on different threads; with an arena each, glibc
keeps what the other has freed. oneDNN keeps 1,024 compiled kernels with their buffers, and every new length of a pack
needs a few dozen; 128 cover one pack. Without these a worker grew to 6 GB over 130 updates."""
EVERY_UPDATES = 8


def give_back(update: int) -> None:
    """Every few updates, return what glibc's heap holds but nobody uses.

    Packs differ in length, so freed activations leave gaps that the next ones do not fit: without this a worker grew
    from 4.0 to 4.7 GB within 15 updates. Elsewhere than on Linux this does nothing.
    """
    if sys.platform == "linux" and update % EVERY_UPDATES == 0:
        ctypes.CDLL(None).malloc_trim(0)
