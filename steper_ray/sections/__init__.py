"""The sections of the configuration, one class each; `steper_ray.config` makes the tree of them."""
