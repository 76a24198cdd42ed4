"""All phases in order, each skipped when its finished output is there."""
