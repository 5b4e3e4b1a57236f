"""MobileNetV3 for small images."""
