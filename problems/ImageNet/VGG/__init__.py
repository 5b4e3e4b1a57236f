"""VGG with batch normalization."""
