"""What `benchmarks/train.py` compares: the workload, the contenders, and the child process they run in."""
