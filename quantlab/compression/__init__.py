"""Compression of trained networks to a budget of bytes."""
