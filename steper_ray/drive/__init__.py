"""The driver of the loop and the machinery around it that generate and evaluate share; serve uses the driver alone."""
