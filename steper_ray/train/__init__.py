"""The training phase: samples in, checkpoints and weights out."""
