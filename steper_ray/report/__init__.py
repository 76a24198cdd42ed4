"""Phase report: what a training run looked like, in pictures and words."""
