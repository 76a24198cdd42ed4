"""The most floating-point operations per second that a device can do in bf16."""

import time

import torch

DENSE_BF16 = {"H100 PCIe": 756e12, "H100 NVL": 835e12, "H200": 989e12, "H100": 989e12, "A100": 312e12}
"""By a part of the device's name, the first that fits; the vendor's figures without sparsity, per second."""
SIZE, TIMES = {"cuda": 8192, "cpu": 2048}, 20


def peak_flops(device: torch.device) -> tuple[float, str]:
    """Operations per second, and where the figure comes from; measured where the vendor's is not known here."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    known = next((flops for part, flops in DENSE_BF16.items() if part in name), None)
    if known is not None:
        return known, f"{name}, vendor's dense bf16"
    return measured_flops(device), f"{name}, measured by a bf16 matrix product"


def measured_flops(device: torch.device) -> float:
    """The best of some products of square matrices."""
    size = SIZE[device.type]
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(TIMES):
        _wait(device)
        started = time.perf_counter()
        left @ right
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
