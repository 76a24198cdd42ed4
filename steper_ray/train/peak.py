"""What a worker's device can do at most: the rate of one large matrix product, measured."""

import time

import torch

_BUDGET_S = 0.35
_SIZES_CPU = (512, 1024, 2048, 4096)
_SIZE_GPU = 8192
_REPEATS_GPU = 10


def measured_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of the fastest product of two square matrices; takes at most about half a second.

    Args:
        device: CPU (with the threads that torch has now) or GPU.
        dtype: type of the matrices, the training's compute type.
    """
    return _gpu_peak(device, dtype) if device.type == "cuda" else _cpu_peak(dtype)


def _cpu_peak(dtype: torch.dtype) -> float:
    """Larger products as long as the time allows, each twice: the first of a size also chooses its kernel."""
    best, started = 0.0, time.perf_counter()
    for size in _SIZES_CPU:
        left, right = torch.ones(size, size, dtype=dtype), torch.ones(size, size, dtype=dtype)
        seconds = [_seconds(left, right) for _ in range(2)]
        best = max(best, 2 * size**3 / min(seconds))
        # The next size takes eight times as long, twice.
        if time.perf_counter() - started + 16 * min(seconds) > _BUDGET_S:
            break
    return best


def _seconds(left: torch.Tensor, right: torch.Tensor) -> float:
    started = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - started


def _gpu_peak(device: torch.device, dtype: torch.dtype) -> float:
    left = torch.randn(_SIZE_GPU, _SIZE_GPU, device=device, dtype=dtype)
    right = torch.randn(_SIZE_GPU, _SIZE_GPU, device=device, dtype=dtype)
    times = []
    with torch.cuda.device(device):
        for _ in range(_REPEATS_GPU):
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            torch.mm(left, right)
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end) / 1000)
    return float(2 * _SIZE_GPU**3 / min(times))
