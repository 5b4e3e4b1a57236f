"""Channels of the tensors in a graph: which belong together, which are constant, and cutting."""
