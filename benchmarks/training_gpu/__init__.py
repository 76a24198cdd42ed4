"""What `benchmarks/train_gpu.py` compares; needs torch, transformers and peft with what these need, nothing else."""
