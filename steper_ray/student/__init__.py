"""The student as a trainable model: set-up, packing, attention within units, target-only forward, stage metrics."""
