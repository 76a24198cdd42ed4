"""Measured claims: every script prints ratios against a named baseline and writes them to `benchmarks/results/`."""
