"""Memory of a process: pages for large tensors, what is done with freed ones, what a step needs."""
