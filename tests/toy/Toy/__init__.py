"""Patches of 6 x 6 pixels in four classes."""
