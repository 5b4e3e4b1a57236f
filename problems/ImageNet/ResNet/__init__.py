"""Residual networks of 18 and 50 layers."""
