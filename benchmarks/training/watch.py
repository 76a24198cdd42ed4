"""Notes when updates end, and how much memory is used between and during them."""

import ctypes
import gc
import time
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_CLEAR_PEAK = "5"


class Watch:
    """To be told of every update's end; the clock starts when the first `warm_up` updates are done."""

    def __init__(self, device: torch.device, warm_up: int = 1) -> None:
        self._device, self._warm_up = device, warm_up
        self._done = 0
        self.started = self.ended = self.rest_mib = 0.0

    @property
    def updates(self) -> int:
        """Updates timed so far."""
        return max(self._done - self._warm_up, 0)

    @property
    def peak_mib(self) -> float:
        """Most memory in use since the clock started."""
        return most_used(self._device)

    def updated(self) -> None:
        """An update has ended."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self._done += 1
        self.ended = time.time()
        if self._done == self._warm_up:
            self.rest_mib = settle(self._device)
            self.started = time.time()


def settle(device: torch.device) -> float:
    """Give freed memory back and begin a new maximum; returns what is in use, MiB (of a GPU, or of this process)."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device) / 2**20
    ctypes.CDLL(None).malloc_trim(0)
    _CLEAR.write_text(_CLEAR_PEAK)
    return _status("VmRSS")


def most_used(device: torch.device) -> float:
    """Most memory in use since `settle`, MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return _status("VmHWM")


def _status(name: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024
