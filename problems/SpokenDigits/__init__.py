"""Spoken digits: recordings of half a second at 8 kHz, six speakers, ten classes."""
