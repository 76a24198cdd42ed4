"""Phase evaluate: the student over held-out questions, and its scores."""
