"""MobileNetV2: inverted residuals with linear bottlenecks."""
