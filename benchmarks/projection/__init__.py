"""The weights and the rivals of `benchmarks.generation_projection`."""
