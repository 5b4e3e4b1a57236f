"""A run's network, compressed to a budget of bytes: a run of its own."""
