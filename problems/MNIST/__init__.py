"""Handwritten digits: 60,000 + 10,000 gray images of 28 x 28 pixels, ten classes."""
