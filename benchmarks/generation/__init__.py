"""The contenders of `benchmarks/generate.py` and the workload that all of them get."""
