"""Densely connected networks for small images."""
