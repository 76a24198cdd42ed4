"""Experiments made of phases: the ablation."""
