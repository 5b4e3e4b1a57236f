"""Depthwise-separable convolutions for keywords."""
