"""Phase generate: teacher trajectories, and the samples made from them."""
