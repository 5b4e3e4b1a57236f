"""MobileNetV2 for small images."""
