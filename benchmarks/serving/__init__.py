"""The contenders of `benchmarks/serve.py`."""
