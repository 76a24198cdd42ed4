"""The runs of `benchmarks/chaos.py`: one that nobody disturbs, and one whose processes are killed at random."""
