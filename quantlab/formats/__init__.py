"""How tensors are stored in files."""
