"""`steper inspect`: trajectories, failures and what became of them, readable in a terminal."""
