"""Models that stop at the first exit whose scores are clear enough."""
