"""The processes of a run: who launched them, what they share, how gradients are summed."""
