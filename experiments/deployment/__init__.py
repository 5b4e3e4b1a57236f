"""A run's network as what is deployed, and the proof that it computes the same."""
