"""StepER: step-wise distillation for multi-hop retrieval-augmented reasoning, on Ray."""

__version__ = "0.1.0"
