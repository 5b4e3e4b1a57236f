"""QuantLab: design, compress, train, compare and deploy small neural networks, with proof."""

__version__ = "0.1.0"
